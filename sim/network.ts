// A network that exists only in memory and time: carries datagrams between addresses with loss,
// duplicates, delay and, through delay, reordering, all drawn from one seed. The same seed gives
// the same run.

import type { Random } from '#base/mod.ts';

/** What the network does to datagrams. Probabilities in [0, 1], times in milliseconds. */
export interface NetworkFaults {
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

/** A datagram under way. */
export interface InFlight {
  readonly atMs: number;
  readonly order: number;
  readonly to: number;
  readonly bytes: Uint8Array;
  readonly from: { readonly address: string; readonly port: number };
}

/** What really happened, so that a test can tell that its faults were real. */
export interface NetworkCounters {
  sent: number;
  lost: number;
  duplicated: number;
  delivered: number;
}

/** Carries datagrams between numbered nodes. */
export class Network {
  readonly counters: NetworkCounters = { sent: 0, lost: 0, duplicated: 0, delivered: 0 };
  faults: NetworkFaults;
  /**
   * Datagrams for which this holds are lost as well: an outage, or exactly the packet a test means.
   */
  drops: (bytes: Uint8Array, to: number) => boolean = () => false;
  readonly #random: Random;
  readonly #queue: InFlight[] = [];
  #order = 0;

  constructor(faults: NetworkFaults, random: Random) {
    this.faults = faults;
    this.#random = random;
  }

  /** When the next datagram arrives, or Infinity. */
  get nextAtMs(): number {
    return this.#queue[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Sends `bytes` to node `to`; what becomes of it is up to the faults. */
  send(bytes: Uint8Array, to: number, from: InFlight['from'], nowMs: number): void {
    this.counters.sent += 1;
    if (this.#random() < this.faults.loss || this.drops(bytes, to)) {
      this.counters.lost += 1;
      return;
    }
    this.#enqueue(bytes, to, from, nowMs);
    if (this.#random() < this.faults.duplicate) {
      this.counters.duplicated += 1;
      this.#enqueue(bytes, to, from, nowMs);
    }
  }

  /** The next datagram due at `nowMs`, or undefined. */
  receive(nowMs: number): InFlight | undefined {
    const next = this.#queue[0];
    if (next === undefined || next.atMs > nowMs) return undefined;
    this.#queue.shift();
    this.counters.delivered += 1;
    return next;
  }

  #enqueue(bytes: Uint8Array, to: number, from: InFlight['from'], nowMs: number): void {
    const { delayMsMin, delayMsMax } = this.faults;
    const atMs = nowMs + delayMsMin + this.#random() * (delayMsMax - delayMsMin);
    const datagram = { atMs, order: this.#order, to, bytes: bytes.slice(), from };
    this.#order += 1;
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#queue[middle];
      if (other !== undefined && other.atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, datagram);
  }
}
