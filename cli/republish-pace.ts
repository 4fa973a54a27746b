// When each message of a history is due again: at the distances at which they were published,
// divided by a speed. Holds no timer and publishes nothing.

/** How a history is paced. */
export interface RepublishPaceOptions {
  /** 2: in half the time. Infinity: everything at once. */
  readonly speed: number;
  /** No silence is longer than this; as long as it was, divided by the speed, if not given. */
  readonly pauseMsMax?: number | undefined;
}

/** The pace of one republishing. */
export class RepublishPace {
  readonly #speed: number;
  readonly #pauseMsMax: number;
  #lastPublishedAtUs: number | undefined;
  #dueAtMs = 0;

  constructor({ speed, pauseMsMax = Number.POSITIVE_INFINITY }: RepublishPaceOptions) {
    this.#speed = speed;
    this.#pauseMsMax = pauseMsMax;
  }

  /**
   * How long the message that was published at `publishedAtUs` has to wait. The first is due at
   * once, as is one that was published before the one before it, as happens between publishers.
   * Who is late catches up.
   */
  waitMs(publishedAtUs: number, nowMs: number): number {
    const last = this.#lastPublishedAtUs;
    if (last === undefined) this.#dueAtMs = nowMs;
    else if (publishedAtUs > last) {
      const pauseMs = (publishedAtUs - last) / 1_000 / this.#speed;
      this.#dueAtMs += Math.min(pauseMs, this.#pauseMsMax);
    }
    this.#lastPublishedAtUs = Math.max(publishedAtUs, last ?? publishedAtUs);
    return Math.max(0, this.#dueAtMs - nowMs);
  }
}
