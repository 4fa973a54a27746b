// The real clocks and the real randomness, which the floors below are handed. monotonicMs() is for
// protocol time, wallClockUs() for publish times; neither is ever used for the other.

import { randomBytes } from 'node:crypto';
import { seededRandom, type Random } from '#base/mod.ts';

/**
 * Milliseconds with fractions since this thread started; never goes backwards, not touched by clock
 * steps.
 */
export function monotonicMs(): number {
  return performance.now();
}

/** The clocks of which a wall clock is made. */
export interface ClockSources {
  /** What the date was when the monotonic source stood at 0, with fractions. */
  readonly originMs: number;
  /** Fine and steady, from any start. */
  readonly monotonicMs: () => number;
  /** Milliseconds since 1970, as coarse and as jumpy as the operating system has it. */
  readonly dateMs: () => number;
}

/** Date.now() cuts off up to 1 ms; what differs more than that is a step or a drift. */
const TRUNCATION_MS = 1;
const DRIFT_MS_MAX = 1;

/**
 * A clock of microseconds since 1970: as fine as the monotonic source, and never further than 2 ms
 * from the date, which it follows when that is set or slewed. It may then go backwards, as the date
 * did.
 */
export function createWallClock(sources: ClockSources): () => number {
  let anchorMs = sources.originMs;
  return () => {
    const dateMs = sources.dateMs();
    const nowMs = sources.monotonicMs();
    const aheadMs = anchorMs + nowMs - dateMs;
    if (aheadMs < -DRIFT_MS_MAX || aheadMs > TRUNCATION_MS + DRIFT_MS_MAX) {
      anchorMs = dateMs - nowMs;
    }
    return Math.floor((anchorMs + nowMs) * 1_000);
  };
}

/** Now, in microseconds since 1970. */
export const wallClockUs: () => number = createWallClock({
  originMs: performance.timeOrigin,
  monotonicMs,
  dateMs: Date.now,
});

let ofThisThread: Random | undefined;

/** The generator of this thread, seeded once by the operating system with 53 bits. */
export function processRandom(): Random {
  ofThisThread ??= seededRandom(Number(randomBytes(8).readBigUInt64BE() >> 11n));
  return ofThisThread;
}
