// How a publisher answers NAKs: which packet numbers it confirms, and which packets it resends at
// what pace. Repairs have a budget of their own beside the data's, so that they neither starve
// behind data nor crowd it out. Does not hold packets (transmit-window) nor decide what may be
// asked for again (repair-scheduler).

import { type ChannelAddress, NAK_SQNS_MAX } from '#base/mod.ts';
import { type PacketReader, toRepair, unwrapSqn, wrapSqn } from '#multicast/wire/mod.ts';
import type { PublisherCounters } from './counters.ts';
import { type RateLimiter, newRateLimiter, wireBytesOf } from './rate-limiter.ts';
import { RepairScheduler } from './repair-scheduler.ts';
import type { TransmitWindow } from './transmit-window.ts';

/** What became of a NAK. */
export interface NakAnswer {
  /** The packet numbers to confirm, as they stand on the wire: the first `confirmedCount`. */
  readonly confirmed: Uint32Array;
  readonly confirmedCount: number;
  /** Whether it asked for packets that have left the window: an SPM tells where it begins now. */
  readonly isBehind: boolean;
}

/** Share of the data rate that repairs may use on top of it, and of which they are sure. */
const REPAIR_SHARE = 0.25;

/** Answers the NAKs of one publisher. */
export class NakAnswering {
  readonly #window: TransmitWindow;
  readonly #counters: PublisherCounters;
  readonly #repairs = new RepairScheduler();
  readonly #rate: RateLimiter;
  readonly #group: string;

  constructor(options: {
    readonly address: ChannelAddress;
    readonly window: TransmitWindow;
    readonly counters: PublisherCounters;
    readonly rateBytesPerSec: number;
    readonly packetBytesMax: number;
  }) {
    const { rateBytesPerSec, packetBytesMax } = options;
    this.#group = options.address.group;
    this.#window = options.window;
    this.#counters = options.counters;
    this.#rate = newRateLimiter(rateBytesPerSec * REPAIR_SHARE, packetBytesMax);
  }

  /** Whether repairs wait to be sent. */
  get hasRepairs(): boolean {
    return this.#repairs.length > 0;
  }

  /** When the repairs' own budget allows the next one. */
  get readyAtMs(): number {
    return this.#rate.readyAtMs;
  }

  /** Takes the NAK that `reader` has read; `sentLead` is the last packet number sent so far. */
  handleNak(reader: PacketReader, sentLead: number, nowMs: number): NakAnswer {
    const { sqnList, sqnCount } = reader;
    const confirmed = new Uint32Array(NAK_SQNS_MAX);
    let confirmedCount = 0;
    let isBehind = false;
    this.#counters.naksReceived += 1;
    for (let index = 0; index < sqnCount; index += 1) {
      const wrapped = sqnList[index] ?? 0;
      const sqn = unwrapSqn(wrapped, sentLead);
      if (sqn > sentLead) {
        this.#counters.naksUnsent += 1;
      } else if (sqn < this.#window.trail) {
        this.#counters.naksExpired += 1;
        isBehind = true;
      } else if (this.#repairs.request(sqn, nowMs) !== 'lingering') {
        confirmed[confirmedCount] = wrapped;
        confirmedCount += 1;
      }
    }
    return { confirmed, confirmedCount, isBehind };
  }

  /**
   * The next repair that may leave now. `spare` is the data's budget while no data waits, for
   * repairs beyond their own.
   */
  pollRepair(spare: RateLimiter | undefined, nowMs: number): Uint8Array | undefined {
    this.#rate.refill(nowMs);
    for (let sqn = this.#repairs.peek(); sqn !== undefined; sqn = this.#repairs.peek()) {
      const packet = this.#window.get(sqn);
      if (packet === undefined) {
        this.#repairs.done(false, nowMs);
        this.#counters.repairsExpired += 1;
        continue;
      }
      const wireBytes = wireBytesOf(packet, this.#group);
      if (!this.#rate.take(wireBytes) && spare?.take(wireBytes) !== true) return undefined;
      this.#repairs.done(true, nowMs);
      toRepair(packet, wrapSqn(this.#window.trail));
      this.#counters.repairsSent += 1;
      return packet;
    }
    return undefined;
  }

  /** Lets time pass: packets resent long enough ago may be asked for again. */
  handleTimeout(nowMs: number): void {
    this.#repairs.forgetLingers(nowMs);
  }
}
