// Builders whose segments are committed, kept for the next ones. A builder holds a mebibyte and
// more, so a thread has one pool for all its channels: after a burst on each of them in turn, what
// stays held is what one of them needed.

import { SegmentBuilder } from './builder.ts';

/**
 * What a channel under full load has in use: a batch of 16 full segments being committed, and the
 * next one being filled. About 50 MB.
 */
const SPARE_BUILDERS_MAX = 32;

/** The spare builders of one thread. */
export class SegmentBuilderPool {
  readonly #spare: SegmentBuilder[] = [];

  /** Builders that are kept. */
  get spareCount(): number {
    return this.#spare.length;
  }

  /** A builder without messages. */
  take(): SegmentBuilder {
    return this.#spare.pop() ?? new SegmentBuilder();
  }

  /** Takes back a builder whose segment nobody uses any more. */
  give(builder: SegmentBuilder): void {
    if (this.#spare.length >= SPARE_BUILDERS_MAX || builder.hasGrown) return;
    builder.reset();
    this.#spare.push(builder);
  }
}
