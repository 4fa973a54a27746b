// How many bytes of repairs a publisher sends: a quarter of its configured rate, and no more than
// the data's current rate where the pace has lowered that. Counted over any time t, repairs take at
// most a quarter of (t + 1 s) of the rate: what they left unused in a second they may use later,
// out of what the data then leaves unused. So a burst of losses is repaired at full speed as soon
// as the stream pauses, and a flood of requests never costs more than the quarter.
//
//   own     flows at the repair rate, beside the data, whether data waits or not
//   saved   the account over a second: what is empty there leaves nothing, spare or not

import { newRateLimiter, RateLimiter } from './rate-limiter.ts';
import type { SendRate } from './send-rate.ts';

/** Share of the configured rate that repairs may use on top of the data. */
export const REPAIR_SHARE = 0.25;
const SAVED_SEC = 1;

/** The budget of one publisher's repairs. */
export class RepairBudget {
  readonly #shareBytesPerSec: number;
  readonly #own: RateLimiter;
  readonly #saved: RateLimiter;
  #bytesPerSec: number;

  constructor(options: { readonly rateBytesPerSec: number; readonly packetBytesMax: number }) {
    const rateBytesPerSec = options.rateBytesPerSec * REPAIR_SHARE;
    this.#shareBytesPerSec = rateBytesPerSec;
    this.#bytesPerSec = rateBytesPerSec;
    this.#own = newRateLimiter(rateBytesPerSec, options.packetBytesMax);
    const burstBytes = Math.max(2 * options.packetBytesMax, rateBytesPerSec * SAVED_SEC);
    this.#saved = new RateLimiter({ rateBytesPerSec, burstBytes });
  }

  /** What repairs are sure of. */
  get bytesPerSec(): number {
    return this.#bytesPerSec;
  }

  /** When the next repair may leave; `spare` is the data's rate while no data waits. */
  readyAtMs(spare: SendRate | undefined): number {
    const spareAtMs = spare?.readyAtMs ?? Number.POSITIVE_INFINITY;
    return Math.max(this.#saved.readyAtMs, Math.min(this.#own.readyAtMs, spareAtMs));
  }

  /** Adds what has accrued since the last call. */
  refill(nowMs: number): void {
    this.#own.refill(nowMs);
    this.#saved.refill(nowMs);
  }

  /** The data's rate is another now; to be refilled first. */
  setDataRate(bytesPerSec: number): void {
    this.#bytesPerSec = Math.min(this.#shareBytesPerSec, bytesPerSec);
    this.#own.setRate(this.#bytesPerSec);
    this.#saved.setRate(this.#bytesPerSec);
  }

  /** Takes `wireBytes` for a repair; false if it must wait. */
  take(wireBytes: number, spare: SendRate | undefined): boolean {
    if (!this.#saved.isReady) return false;
    if (!this.#own.take(wireBytes) && spare?.takeSpare(wireBytes) !== true) return false;
    this.#saved.take(wireBytes);
    return true;
  }
}
