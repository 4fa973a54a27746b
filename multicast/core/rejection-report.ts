// Says now and then how many packets were not believed: once a minute at most, however many there
// are, since whoever forges packets must not fill a log. Does not say it to anybody itself.

import type { PublisherCounters, ReceiverCounters } from './counters.ts';

/** Packets that were not believed, by reason. */
export interface Rejections {
  readonly missing: number;
  readonly unknownKey: number;
  readonly wrong: number;
}

const REPORT_EVERY_MS = 60_000;

/** Watches the counters of one machine. */
export class RejectionReport {
  #reported: Rejections = { missing: 0, unknownKey: 0, wrong: 0 };
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * What was rejected since the last report, if anything was and that is a minute ago; else
   * undefined.
   */
  poll(counters: PublisherCounters | ReceiverCounters, nowMs: number): Rejections | undefined {
    if (nowMs - this.#reportedAtMs < REPORT_EVERY_MS) return undefined;
    const before = this.#reported;
    const now = {
      missing: counters.unauthenticatedMissing,
      unknownKey: counters.unauthenticatedUnknownKey,
      wrong: counters.unauthenticatedWrong,
    };
    const rejections = {
      missing: now.missing - before.missing,
      unknownKey: now.unknownKey - before.unknownKey,
      wrong: now.wrong - before.wrong,
    };
    if (rejections.missing + rejections.unknownKey + rejections.wrong === 0) return undefined;
    this.#reported = now;
    this.#reportedAtMs = nowMs;
    return rejections;
  }
}
