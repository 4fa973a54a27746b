// How long to wait for an answer before asking again, learnt from the answers themselves: a
// smoothed round trip and its variation, as TCP does it (RFC 6298, section 2). A publisher whose
// repairs queue, or a host whose processor is busy, answers late; asking again meanwhile would only
// add to the load.

/** How long to wait, whatever was learnt. */
export interface RoundTripBounds {
  /** Before the first answer. */
  readonly timeoutMsFirst: number;
  readonly timeoutMsMin: number;
  readonly timeoutMsMax: number;
}

/** Learns from round trips; says how long the next one may take. */
export class RoundTrip {
  readonly #bounds: RoundTripBounds;
  #smoothedMs: number | undefined;
  #variationMs = 0;

  constructor(bounds: RoundTripBounds) {
    this.#bounds = bounds;
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

  /** Smoothed round trip plus four variations, within the bounds. */
  get timeoutMs(): number {
    const { timeoutMsFirst, timeoutMsMin, timeoutMsMax } = this.#bounds;
    if (this.#smoothedMs === undefined) return timeoutMsFirst;
    const learntMs = this.#smoothedMs + 4 * this.#variationMs;
    return Math.min(timeoutMsMax, Math.max(timeoutMsMin, learntMs));
  }
}
