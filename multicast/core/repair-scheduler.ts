// Which packets a publisher resends, and when not to: a packet that is already waiting, or was
// resent a moment ago, is not taken up again, so a hundred receivers that miss the same packet cost
// one repair. States of a packet here: idle → queued (asked for) → lingering (just resent) → idle.
// Does not know what a packet holds (transmit-window) nor how fast repairs may leave
// (rate-limiter).

/**
 * How long after a repair further requests for the same packet are taken as already answered: what
 * crosses a repair on its way does so within some milliseconds. Who asks later has lost the repair
 * too; longer than that, and most of what receivers ask within their back-off goes unanswered.
 */
export const REPAIR_LINGER_MS = 4;
/**
 * The same while other repairs wait: then a second repair of one packet takes the place of another
 * packet's first. Shorter than the shortest time after which a receiver gives a repair up as lost.
 */
export const REPAIR_LINGER_BUSY_MS = 20;

/** The queue of packet numbers to resend, each at most once at a time. */
export class RepairScheduler {
  readonly #queue: number[] = [];
  readonly #queued = new Set<number>();
  readonly #resentAtMs = new Map<number, number>();
  #head = 0;

  /** Packets waiting to be resent. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Takes up `sqn` unless it waits already or was resent within the linger; says which. */
  request(sqn: number, nowMs: number): 'queued' | 'already_queued' | 'lingering' {
    if (this.#queued.has(sqn)) return 'already_queued';
    const resentAtMs = this.#resentAtMs.get(sqn);
    const lingerMs = this.length > 0 ? REPAIR_LINGER_BUSY_MS : REPAIR_LINGER_MS;
    if (resentAtMs !== undefined && nowMs - resentAtMs < lingerMs) return 'lingering';
    this.#queued.add(sqn);
    this.#queue.push(sqn);
    return 'queued';
  }

  /** The packet to resend next, or undefined; stays queued until `resent` is told. */
  peek(): number | undefined {
    return this.#queue[this.#head];
  }

  /** The packet that `peek` named has left, or is gone from the window (`hasLeft` false). */
  done(hasLeft: boolean, nowMs: number): void {
    const sqn = this.#queue[this.#head];
    if (sqn === undefined) return;
    this.#head += 1;
    this.#queued.delete(sqn);
    if (hasLeft) {
      this.#resentAtMs.delete(sqn);
      this.#resentAtMs.set(sqn, nowMs);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /**
   * Forgets lingers that are over. The map is in order of resending, so this stops at the first
   * live one.
   */
  forgetLingers(nowMs: number): void {
    for (const [sqn, resentAtMs] of this.#resentAtMs) {
      if (nowMs - resentAtMs < REPAIR_LINGER_BUSY_MS) break;
      this.#resentAtMs.delete(sqn);
    }
  }
}
