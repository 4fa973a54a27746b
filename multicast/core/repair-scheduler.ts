// Which packets a publisher resends, in which order, and when not to: a packet that is already
// waiting, or was resent a moment ago, is not taken up again, so a hundred receivers that miss the
// same packet cost one repair. States of a packet here: idle → queued (asked for) → lingering (just
// resent) → idle.
//
// Who asks gets a lane by a hash of its address, and the lanes take turns: a receiver that asks for
// much, or for everything, delays those in its own lane. The hash is another every second, so that
// nobody shares a lane with such a one for long. A packet that waits in one lane may be asked for
// in another, and leaves with the first to have its turn. A lane holds as much as one receiver may
// have unanswered; more is refused, and asked for again.
//
// Does not know what a packet holds (transmit-window) nor how fast repairs may leave
// (repair-budget).

import { REPAIR_LANE_PACKETS_MAX, REPAIR_LANES } from '#base/mod.ts';
import type { Remote } from './machine.ts';

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
/** How long after a confirmation of a packet that waits another one tells nobody anything. */
const CONFIRMED_MS = 10;

/** What became of a request. */
export type RequestOutcome =
  /** Taken up: to be confirmed. */
  | 'queued'
  /** Waits already, and is worth another confirmation. */
  | 'waiting'
  /** Waits already, and was confirmed just now. */
  | 'confirmed'
  /** Was resent just now. */
  | 'lingering'
  /** The asker's lane is full. */
  | 'refused';

/** The packet numbers to resend, each at most once at a time. */
export class RepairScheduler {
  /** In order of asking; may hold what has left meanwhile by another lane. */
  readonly #lanes: readonly Set<number>[] = Array.from({ length: REPAIR_LANES }, () => new Set());
  /** All that wait, each with when it was last confirmed. */
  readonly #confirmedAtMs = new Map<number, number>();
  readonly #resentAtMs = new Map<number, number>();
  #turn = 0;

  /** Packets waiting to be resent. */
  get length(): number {
    return this.#confirmedAtMs.size;
  }

  /** Whether `sqn` waits to be resent. */
  isQueued(sqn: number): boolean {
    return this.#confirmedAtMs.has(sqn);
  }

  /** Packets that wait in a lane, and some that have left by another. */
  lengthOf(lane: number): number {
    return this.#lane(lane).size;
  }

  /** Whether the lane takes up nothing more. */
  isFull(lane: number): boolean {
    return this.lengthOf(lane) >= REPAIR_LANE_PACKETS_MAX;
  }

  /** Takes up `sqn` in the lane of an asker unless it need not or may not; says which. */
  request(sqn: number, lane: number, nowMs: number): RequestOutcome {
    const resentAtMs = this.#resentAtMs.get(sqn);
    const confirmedAtMs = this.#confirmedAtMs.get(sqn);
    const lingerMs = this.length > 0 ? REPAIR_LINGER_BUSY_MS : REPAIR_LINGER_MS;
    const isFresh = resentAtMs !== undefined && nowMs - resentAtMs < lingerMs;
    if (isFresh && confirmedAtMs === undefined) return 'lingering';
    const isTaken = this.#lane(lane).has(sqn) || !this.isFull(lane);
    if (isTaken) this.#lane(lane).add(sqn);
    if (confirmedAtMs === undefined && !isTaken) return 'refused';
    if (confirmedAtMs !== undefined && nowMs - confirmedAtMs < CONFIRMED_MS) return 'confirmed';
    this.#confirmedAtMs.set(sqn, nowMs);
    return confirmedAtMs === undefined ? 'queued' : 'waiting';
  }

  /** The packet to resend next, or undefined; stays queued until `done` is told. */
  peek(): number | undefined {
    if (this.#confirmedAtMs.size === 0) return undefined;
    for (;;) {
      for (const sqn of this.#lane(this.#turn)) {
        if (this.#confirmedAtMs.has(sqn)) return sqn;
        this.#lane(this.#turn).delete(sqn);
      }
      this.#turn = (this.#turn + 1) % REPAIR_LANES;
    }
  }

  /** The packet that `peek` named has left, or is gone from the window (`hasLeft` false). */
  done(hasLeft: boolean, nowMs: number): void {
    const sqn = this.peek();
    if (sqn === undefined) return;
    this.#lane(this.#turn).delete(sqn);
    this.#turn = (this.#turn + 1) % REPAIR_LANES;
    this.#confirmedAtMs.delete(sqn);
    if (!hasLeft) return;
    this.#resentAtMs.delete(sqn);
    this.#resentAtMs.set(sqn, nowMs);
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

  #lane(index: number): Set<number> {
    return this.#lanes[index % REPAIR_LANES];
  }
}

/** The lane of an asker: in the same second the same for the same address and port. */
export function laneOf({ address, port }: Remote, nowMs: number): number {
  let hash = Math.imul(port ^ (Math.floor(nowMs / 1_000) << 16), 0x0100_0193);
  for (let at = 0; at < address.length; at += 1) {
    hash = Math.imul(hash ^ address.charCodeAt(at), 0x0100_0193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % REPAIR_LANES;
}
