// How long to wait for an answer before asking again, learnt from the answers themselves: a smoothed round
// trip and its variation, as TCP does it (RFC 6298, section 2). A publisher whose repairs queue, or a host
// whose processor is busy, answers late; asking again meanwhile would only add to the load.

/** Learns from round trips; says how long the next one may take. */
export class RoundTrip {
  readonly #timeoutMsMin: number;
  readonly #timeoutMsMax: number;
  #smoothedMs: number | undefined;
  #variationMs = 0;

  constructor(bounds: { readonly timeoutMsMin: number; readonly timeoutMsMax: number }) {
    this.#timeoutMsMin = bounds.timeoutMsMin;
    this.#timeoutMsMax = bounds.timeoutMsMax;
  }

  /** An answer came `ms` after the question. */
  sample(ms: number): void {
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = ms;
      this.#variationMs = ms / 2;
      return;
    }
    this.#variationMs += (Math.abs(ms - this.#smoothedMs) - this.#variationMs) / 4;
    this.#smoothedMs += (ms - this.#smoothedMs) / 8;
  }

  /** Smoothed round trip plus four variations, within the bounds; the lower bound before any answer. */
  get timeoutMs(): number {
    const learntMs = (this.#smoothedMs ?? 0) + 4 * this.#variationMs;
    return Math.min(this.#timeoutMsMax, Math.max(this.#timeoutMsMin, learntMs));
  }
}
