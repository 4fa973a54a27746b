// A network that exists only in memory and time: carries datagrams between addresses with loss,
// duplicates, delay and, through delay, reordering, all drawn from one seed. The same seed gives
// the same run.

import type { Random } from '#base/mod.ts';
import { DueHeap } from './heap.ts';

/** What the network does to datagrams. Probabilities in [0, 1], times in milliseconds. */
export interface NetworkFaults {
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

/** Where a datagram came from: the node, and its address as others see it. */
export interface Origin {
  readonly node: number;
  readonly address: string;
  readonly port: number;
}

/** A datagram under way. Its bytes are shared by all who get it. */
export interface InFlight {
  readonly to: number;
  readonly bytes: Uint8Array;
  readonly from: Origin;
  /** Counts what was sent, so that what overtakes can be told from what is overtaken. */
  readonly order: number;
}

/** What really happened, so that a test can tell that its faults were real. */
export interface NetworkCounters {
  sent: number;
  lost: number;
  duplicated: number;
  delivered: number;
  /** Delivered after one that was sent later. */
  overtaken: number;
}

/** Carries datagrams between numbered nodes. */
export class Network {
  readonly counters: NetworkCounters = {
    sent: 0,
    lost: 0,
    duplicated: 0,
    delivered: 0,
    overtaken: 0,
  };
  faults: NetworkFaults;
  /**
   * Datagrams for which this holds are lost as well: an outage, or exactly the packet a test means.
   */
  drops: (bytes: Uint8Array, to: number, from: number) => boolean = () => false;
  readonly #random: Random;
  readonly #queue = new DueHeap<InFlight>();
  readonly #newestOrders: number[] = [];

  constructor(faults: NetworkFaults, random: Random) {
    this.faults = faults;
    this.#random = random;
  }

  /** When the next datagram arrives, or Infinity. */
  get nextAtMs(): number {
    return this.#queue.nextAtMs;
  }

  /**
   * Sends `bytes` to node `to`; what becomes of it is up to the faults. The caller lets `bytes` be.
   */
  send(bytes: Uint8Array, to: number, from: Origin, nowMs: number): void {
    this.counters.sent += 1;
    if (this.#random() < this.faults.loss || this.drops(bytes, to, from.node)) {
      this.counters.lost += 1;
      return;
    }
    const datagram = { bytes, to, from, order: this.counters.sent };
    this.#queue.push(datagram, nowMs + this.#delayMs());
    if (this.#random() < this.faults.duplicate) {
      this.counters.duplicated += 1;
      this.#queue.push(datagram, nowMs + this.#delayMs());
    }
  }

  /** The next datagram due at `nowMs`, or undefined. */
  receive(nowMs: number): InFlight | undefined {
    const next = this.#queue.take(nowMs);
    if (next === undefined) return undefined;
    this.counters.delivered += 1;
    if (next.order < (this.#newestOrders[next.to] ?? 0)) this.counters.overtaken += 1;
    else this.#newestOrders[next.to] = next.order;
    return next;
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.faults;
    return delayMsMin + this.#random() * (delayMsMax - delayMsMin);
  }
}
