// How a publisher answers NAKs: which packet numbers it confirms, and which packets it resends at
// what pace. Confirmations and repairs have budgets of their own beside the data's, so that they
// neither starve behind data nor crowd it out, whatever is asked for. Does not hold packets
// (transmit-window) nor decide what may be asked for again (repair-scheduler).

import {
  type ChannelAddress,
  NAK_SQNS_MAX,
  NCF_BYTES_PER_SEC_MAX,
  NCF_PENDING_SQNS_MAX,
} from '#base/mod.ts';
import {
  CONTROL_PACKET_BYTES_MAX,
  type PacketReader,
  toRepair,
  unwrapSqn,
  wrapSqn,
} from '#multicast/wire/mod.ts';
import type { PublisherCounters } from './counters.ts';
import type { Remote } from './machine.ts';
import { RateLimiter, wireBytesOf } from './rate-limiter.ts';
import { RepairBudget } from './repair-budget.ts';
import { laneOf, RepairScheduler } from './repair-scheduler.ts';
import type { SendRate } from './send-rate.ts';
import type { TransmitWindow } from './transmit-window.ts';

/** Share of the configured rate that confirmations may use on top, where that is little. */
const NCF_SHARE = 1 / 16;
/** Confirmations that may leave at once. */
const NCF_BURST = 16;

/**
 * A confirmation keeps everybody from asking: it is given only for what leaves this soon. What
 * waits longer, behind one who asks for everything, others may ask for in lanes of their own.
 */
const PROMISE_MS_MAX = 100;

/** Answers the NAKs of one publisher. */
export class NakAnswering {
  readonly #window: TransmitWindow;
  readonly #counters: PublisherCounters;
  readonly #rate: SendRate;
  readonly #packetBytesMax: number;
  readonly #repairs = new RepairScheduler();
  readonly #budget: RepairBudget;
  readonly #ncfRate: RateLimiter;
  readonly #confirmed = new Uint32Array(NAK_SQNS_MAX);
  #pending: number[] = [];
  readonly #group: string;

  constructor(options: {
    readonly address: ChannelAddress;
    readonly window: TransmitWindow;
    readonly counters: PublisherCounters;
    readonly rate: SendRate;
    readonly rateBytesPerSec: number;
    readonly packetBytesMax: number;
  }) {
    this.#group = options.address.group;
    this.#window = options.window;
    this.#counters = options.counters;
    this.#rate = options.rate;
    this.#packetBytesMax = options.packetBytesMax;
    this.#budget = new RepairBudget(options);
    this.#ncfRate = new RateLimiter({
      rateBytesPerSec: Math.min(options.rateBytesPerSec * NCF_SHARE, NCF_BYTES_PER_SEC_MAX),
      burstBytes: CONTROL_PACKET_BYTES_MAX * NCF_BURST,
    });
  }

  /** Packets that wait to be resent. */
  get repairCount(): number {
    return this.#repairs.length;
  }

  /** When the next confirmation or repair may leave; `spare` as for `pollRepair`. */
  readyAtMs(spare: SendRate | undefined): number {
    const ncfAtMs = this.#pending.length > 0 ? this.#ncfRate.readyAtMs : Number.POSITIVE_INFINITY;
    return this.repairCount > 0 ? Math.min(ncfAtMs, this.#budget.readyAtMs(spare)) : ncfAtMs;
  }

  /**
   * Takes the NAK that `reader` has read; `sentLead` is the last packet number sent so far. True if
   * it asked for packets that have left the window: an SPM tells where it begins now.
   */
  handleNak(reader: PacketReader, remote: Remote, sentLead: number, nowMs: number): boolean {
    const { sqnList, sqnCount } = reader;
    const lane = laneOf(remote, nowMs);
    let isBehind = false;
    this.#counters.naksReceived += 1;
    if (this.#repairs.isFull(lane)) {
      this.#counters.naksRefused += sqnCount;
      return false;
    }
    for (let index = 0; index < sqnCount; index += 1) {
      const sqn = unwrapSqn(sqnList[index] ?? 0, sentLead);
      if (sqn > sentLead) {
        this.#counters.naksUnsent += 1;
      } else if (sqn < this.#window.trail) {
        this.#counters.naksExpired += 1;
        isBehind = true;
      } else this.#request(sqn, lane, nowMs);
    }
    return isBehind;
  }

  /**
   * The packet numbers to confirm now, as they stand on the wire, or undefined; valid until the
   * next call. Those that left meanwhile need no confirmation any more.
   */
  pollConfirmed(nowMs: number): Uint32Array | undefined {
    if (this.#pending.length === 0) return undefined;
    this.#ncfRate.refill(nowMs);
    if (!this.#ncfRate.isReady) return undefined;
    let count = 0;
    let taken = 0;
    for (; taken < this.#pending.length && count < NAK_SQNS_MAX; taken += 1) {
      const sqn = this.#pending[taken] ?? 0;
      if (!this.#repairs.isQueued(sqn)) continue;
      this.#confirmed[count] = wrapSqn(sqn);
      count += 1;
    }
    this.#pending = taken < this.#pending.length ? this.#pending.slice(taken) : [];
    if (count === 0) return undefined;
    this.#ncfRate.take(CONTROL_PACKET_BYTES_MAX);
    return this.#confirmed.subarray(0, count);
  }

  /**
   * The next repair that may leave now, in bytes of its own. `spare` is the data's rate while no
   * data waits, for repairs beyond their own.
   */
  pollRepair(spare: SendRate | undefined, nowMs: number): Uint8Array | undefined {
    if (this.repairCount === 0) return undefined;
    this.#budget.refill(nowMs);
    for (let sqn = this.#repairs.peek(); sqn !== undefined; sqn = this.#repairs.peek()) {
      const packet = this.#window.get(sqn);
      if (packet === undefined) {
        this.#repairs.done(false, nowMs);
        this.#counters.repairsExpired += 1;
        continue;
      }
      if (!this.#budget.take(wireBytesOf(packet, this.#group), spare)) return undefined;
      this.#repairs.done(true, nowMs);
      this.#counters.repairsSent += 1;
      // The packet itself may still wait in the socket, under way for the first time.
      const repair = packet.slice();
      toRepair(repair, wrapSqn(this.#window.trail));
      return repair;
    }
    return undefined;
  }

  /** Lets time pass: packets resent long enough ago may be asked for again. */
  handleTimeout(nowMs: number): void {
    this.#repairs.forgetLingers(nowMs);
  }

  /** Lets the data's rate follow what is asked for, and the repairs' budget the data's rate. */
  adapt(sentLead: number, nowMs: number): void {
    if (!this.#rate.adapt(sentLead, this.#durationMs(this.repairCount))) return;
    this.#budget.refill(nowMs);
    this.#budget.setDataRate(this.#rate.bytesPerSec);
  }

  #request(sqn: number, lane: number, nowMs: number): void {
    const outcome = this.#repairs.request(sqn, lane, nowMs);
    if (outcome === 'refused') this.#counters.naksRefused += 1;
    this.#rate.asked(sqn);
    if (outcome !== 'queued' && outcome !== 'waiting') return;
    const isSoon = this.#durationMs(this.#repairs.lengthOf(lane)) <= PROMISE_MS_MAX;
    if (isSoon && this.#pending.length < NCF_PENDING_SQNS_MAX) this.#pending.push(sqn);
    else this.#counters.ncfsWithheld += 1;
  }

  /** How long so many repairs take, at least, while data flows. */
  #durationMs(packets: number): number {
    return (packets * this.#packetBytesMax * 1_000) / this.#budget.bytesPerSec;
  }
}
