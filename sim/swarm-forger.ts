// Somebody on the link who has no key: makes packets out of those that were sent, changed, signed
// with a wrong key, without a tag, or of a publisher that does not exist, and says old ones again
// as they were. What it made itself is known here, so that the judges can tell.

import { type Random, randomBelow } from '#base/mod.ts';
import { withoutTag } from './foreign.ts';
import { forged } from './fuzz-mutator.ts';
import { forgerAuthenticators } from './member-keys.ts';
import type { Origin } from './network.ts';
import type { World } from './world.ts';

/** What was really said. */
export interface ForgerCounters {
  forged: number;
  replayed: number;
}

const HEARD_MAX = 64;
const EVERY_MS_MAX = 4;
const GSI_AT = 8;
const ORIGIN: Origin = { node: -1, address: '10.66.6.6', port: 666 };

/** A forger on the link of one world. */
export class SwarmForger {
  readonly counters: ForgerCounters = { forged: 0, replayed: 0 };
  readonly #world: World;
  readonly #random: Random;
  readonly #heard: Uint8Array[] = [];
  readonly #made = new WeakSet<Uint8Array>();
  readonly #authenticators = forgerAuthenticators();

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** Whether the forger made this datagram; it did not make what it only says again. */
  isForged(bytes: Uint8Array): boolean {
    return this.#made.has(bytes);
  }

  /** A datagram was sent that the forger may use. */
  overhear(bytes: Uint8Array): void {
    if (this.#heard.length < HEARD_MAX) this.#heard.push(bytes);
    else this.#heard[randomBelow(this.#random, HEARD_MAX)] = bytes;
  }

  /** Speaks from now on, to one node after the other, until `isOver` holds. */
  start(isOver: () => boolean): void {
    const { nowMs } = this.#world;
    this.#world.schedule(nowMs + this.#random() * EVERY_MS_MAX, () => {
      if (isOver()) return;
      this.#speak();
      this.start(isOver);
    });
  }

  #speak(): void {
    const heard = this.#heard[randomBelow(this.#random, this.#heard.length)];
    if (heard === undefined) return;
    const bytes = this.#random() < 0.25 ? heard : this.#forge(heard.slice());
    if (bytes === heard) this.counters.replayed += 1;
    else this.counters.forged += 1;
    if (bytes !== heard) this.#made.add(bytes);
    const to = randomBelow(this.#random, this.#world.nodeCount);
    if (this.#world.isUp(to)) this.#world.network.send(bytes, to, ORIGIN, this.#world.nowMs);
  }

  #forge(bytes: Uint8Array): Uint8Array {
    const drawn = randomBelow(this.#random, 4);
    // Of a publisher that does not exist: another GSI, and everything else right.
    if (drawn < 2) bytes[GSI_AT + 5] ^= 1 + randomBelow(this.#random, 255);
    else {
      const bit = randomBelow(this.#random, bytes.length * 8 - 128) + 128;
      bytes[bit >> 3] ^= 1 << (bit & 7);
    }
    if (drawn === 0) return withoutTag(bytes);
    if (drawn === 1) this.#authenticators[randomBelow(this.#random, 2)]?.seal(bytes);
    return forged(bytes);
  }
}
