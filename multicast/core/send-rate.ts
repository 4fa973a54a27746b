// How fast a publisher sends new data: its configured rate, the share of it that the pace leaves,
// and how long data waited for either. Not the budgets of repairs (repair-budget).

import type { PublisherCounters } from './counters.ts';
import { Pace, type PacePolicy } from './pace.ts';
import { newRateLimiter, type RateLimiter } from './rate-limiter.ts';

/** What a sending rate is made of. */
export interface SendRateOptions {
  readonly rateBytesPerSec: number;
  readonly packetBytesMax: number;
  /** Constant rate if it is left out. */
  readonly pace?: PacePolicy | undefined;
  readonly counters: PublisherCounters;
  /** The number of the packet before the first. */
  readonly sentLead: number;
}

/** The rate of one publisher's data. */
export class SendRate {
  readonly #configuredBytesPerSec: number;
  readonly #counters: PublisherCounters;
  readonly #pace: Pace | undefined;
  readonly #limiter: RateLimiter;
  #bytesPerSec: number;
  #nowMs: number;
  #waitingSinceMs = Number.NaN;

  constructor(options: SendRateOptions, nowMs: number) {
    this.#configuredBytesPerSec = options.rateBytesPerSec;
    this.#bytesPerSec = options.rateBytesPerSec;
    this.#counters = options.counters;
    this.#pace = options.pace === 'on' ? new Pace(options.sentLead, nowMs) : undefined;
    this.#limiter = newRateLimiter(options.rateBytesPerSec, options.packetBytesMax);
    this.#nowMs = nowMs;
  }

  /** What data may use now: the configured rate, or what the pace leaves of it. */
  get bytesPerSec(): number {
    return this.#bytesPerSec;
  }

  /** When the next packet may leave. */
  get readyAtMs(): number {
    return this.#limiter.readyAtMs;
  }

  /** Adds what has accrued since the last call. */
  refill(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#limiter.refill(nowMs);
  }

  /** Takes `wireBytes` for a new packet; false if it must wait. */
  take(wireBytes: number): boolean {
    if (!this.#limiter.take(wireBytes)) {
      if (Number.isNaN(this.#waitingSinceMs)) this.#waitingSinceMs = this.#nowMs;
      return false;
    }
    if (!Number.isNaN(this.#waitingSinceMs)) this.#countWait();
    return true;
  }

  /** Takes `wireBytes` of what data leaves unused. */
  takeSpare(wireBytes: number): boolean {
    return this.#limiter.take(wireBytes);
  }

  /** Somebody asked for the packet `sqn`, which was sent. */
  asked(sqn: number): void {
    this.#pace?.asked(sqn);
  }

  /** Adapts to what receivers ask for; true if the rate changed. To be refilled first. */
  adapt(sentLead: number, backlogMs: number): boolean {
    const pace = this.#pace;
    if (pace === undefined || !pace.isDue(sentLead, this.#nowMs)) return false;
    const before = pace.share;
    pace.judge(sentLead, backlogMs, this.#nowMs);
    if (pace.share === before) return false;
    if (pace.share < before) this.#counters.paceCuts += 1;
    this.#bytesPerSec = this.#configuredBytesPerSec * pace.share;
    this.#limiter.setRate(this.#bytesPerSec);
    return true;
  }

  #countWait(): void {
    const waitedMs = this.#nowMs - this.#waitingSinceMs;
    this.#waitingSinceMs = Number.NaN;
    if (this.#bytesPerSec < this.#configuredBytesPerSec) this.#counters.heldByPaceMs += waitedMs;
    else this.#counters.heldByRateMs += waitedMs;
  }
}
