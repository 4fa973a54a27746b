// The archiver's warnings about packets that were not believed: one line a minute and channel at
// most, with the counts.

import { RejectionReport } from '#multicast/core/mod.ts';
import type { ArchiverLog } from './archiver.ts';
import type { RecorderCounters } from './recorder-options.ts';

/** Watches the channels of an archiver. */
export class RejectionLog {
  readonly #log: ArchiverLog;
  readonly #reports = new Map<string, RejectionReport>();

  constructor(log: ArchiverLog) {
    this.#log = log;
  }

  /** Takes the numbers as they stand at `nowMs`. */
  handleCounters(channels: Readonly<Record<string, RecorderCounters>>, nowMs: number): void {
    for (const [channel, { receiver }] of Object.entries(channels)) {
      const report = this.#reports.get(channel) ?? new RejectionReport();
      this.#reports.set(channel, report);
      const rejections = report.poll(receiver, nowMs);
      if (rejections === undefined) continue;
      this.#log.warn({ channel, ...rejections }, 'packets without a valid tag were dropped');
    }
  }
}
