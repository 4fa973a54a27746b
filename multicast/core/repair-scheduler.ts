// Which packets a publisher resends, in which order, and when not to: a packet that is already
// waiting, or was resent a moment ago, is not taken up again, so a hundred receivers that miss the
// same packet cost one repair. States of a packet here: idle → queued (asked for) → lingering (just
// resent) → idle.
//
// Who asks gets a lane by a hash of its address, and the lanes take turns: a receiver that asks for
// much, or for everything, delays those in its own lane. A lane holds as much as one receiver may
// have unanswered; more is refused, and asked for again.
//
// Does not know what a packet holds (transmit-window) nor how fast repairs may leave
// (repair-budget).

import { REPAIR_LANE_PACKETS_MAX, REPAIR_LANES } from '#base/mod.ts';
import type { Remote } from './machine.ts';

/** How long after a repair further requests for the same packet are taken as already answered. */
export const REPAIR_LINGER_MS = 10;
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

interface Lane {
  readonly queue: number[];
  head: number;
}

/** The packet numbers to resend, each at most once at a time. */
export class RepairScheduler {
  readonly #lanes: readonly Lane[] = Array.from({ length: REPAIR_LANES }, () => ({
    queue: [],
    head: 0,
  }));
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

  /** Whether the lane refuses what does not wait yet. */
  isFull(lane: number): boolean {
    const { queue, head } = this.#lane(lane);
    return queue.length - head >= REPAIR_LANE_PACKETS_MAX;
  }

  /** Takes up `sqn` in the lane of an asker unless it need not or may not; says which. */
  request(sqn: number, lane: number, nowMs: number): RequestOutcome {
    const confirmedAtMs = this.#confirmedAtMs.get(sqn);
    if (confirmedAtMs !== undefined) {
      if (nowMs - confirmedAtMs < CONFIRMED_MS) return 'confirmed';
      this.#confirmedAtMs.set(sqn, nowMs);
      return 'waiting';
    }
    const resentAtMs = this.#resentAtMs.get(sqn);
    if (resentAtMs !== undefined && nowMs - resentAtMs < REPAIR_LINGER_MS) return 'lingering';
    if (this.isFull(lane)) return 'refused';
    this.#confirmedAtMs.set(sqn, nowMs);
    this.#lane(lane).queue.push(sqn);
    return 'queued';
  }

  /** The packet to resend next, or undefined; stays queued until `done` is told. */
  peek(): number | undefined {
    if (this.#confirmedAtMs.size === 0) return undefined;
    let lane = this.#lane(this.#turn);
    while (lane.head === lane.queue.length) {
      this.#turn = (this.#turn + 1) % REPAIR_LANES;
      lane = this.#lane(this.#turn);
    }
    return lane.queue[lane.head];
  }

  /** The packet that `peek` named has left, or is gone from the window (`hasLeft` false). */
  done(hasLeft: boolean, nowMs: number): void {
    const sqn = this.peek();
    if (sqn === undefined) return;
    const lane = this.#lane(this.#turn);
    this.#turn = (this.#turn + 1) % REPAIR_LANES;
    lane.head += 1;
    this.#confirmedAtMs.delete(sqn);
    if (hasLeft) {
      this.#resentAtMs.delete(sqn);
      this.#resentAtMs.set(sqn, nowMs);
    }
    if (lane.head < lane.queue.length && lane.head < REPAIR_LANE_PACKETS_MAX) return;
    lane.queue.splice(0, lane.head);
    lane.head = 0;
  }

  /**
   * Forgets lingers that are over. The map is in order of resending, so this stops at the first
   * live one.
   */
  forgetLingers(nowMs: number): void {
    for (const [sqn, resentAtMs] of this.#resentAtMs) {
      if (nowMs - resentAtMs < REPAIR_LINGER_MS) break;
      this.#resentAtMs.delete(sqn);
    }
  }

  #lane(index: number): Lane {
    return this.#lanes[index % REPAIR_LANES];
  }
}

/** The lane of an asker: the same for the same address and port. */
export function laneOf({ address, port }: Remote): number {
  let hash = port;
  for (let at = 0; at < address.length; at += 1) {
    hash = Math.imul(hash ^ address.charCodeAt(at), 0x0100_0193);
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % REPAIR_LANES;
}
