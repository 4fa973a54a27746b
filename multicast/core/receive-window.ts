// Packets that arrived ahead of a hole, by unwrapped packet number, until the hole is filled or
// given up.
//
//     next (first hole)       lead
//       v                      v
//   ... [ ][p][p][ ][ ][p][p][p]
//
// A ring that grows with need up to RECEIVE_WINDOW_PACKETS_MAX. Not the knowledge of what is
// missing (nak-scheduler) nor of what is lost (session-receiver).

import { assert, RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';

/** What is kept of a data packet: its bytes and where in them the content lies. */
export interface HeldPacket {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly sequence: number;
  readonly fragment: HeldFragment | undefined;
}

/** Which piece of a big message a packet holds; `firstSqn` is unwrapped. */
export interface HeldFragment {
  readonly firstSqn: number;
  readonly startBytes: number;
  readonly apduBytes: number;
}

const SLOTS_MIN = 64;

/** The packets held of one session. */
export class ReceiveWindow {
  #slots: (HeldPacket | undefined)[] = [];
  #mask = -1;
  #count = 0;

  /** Packets held. */
  get count(): number {
    return this.#count;
  }

  /** Whether `sqn` is near enough to `next` to be held. */
  reaches(sqn: number, next: number): boolean {
    return sqn - next < RECEIVE_WINDOW_PACKETS_MAX;
  }

  /** Keeps a packet; its slot must be free. */
  hold(sqn: number, next: number, packet: HeldPacket): void {
    assert(this.reaches(sqn, next), 'a held packet is within reach');
    if (sqn - next > this.#mask) this.#grow(sqn, next);
    const slot = sqn & this.#mask;
    assert(this.#slots[slot] === undefined, 'a packet is held once');
    this.#slots[slot] = packet;
    this.#count += 1;
  }

  /** Gives up the packet `sqn`, or undefined if it is not held. */
  release(sqn: number): HeldPacket | undefined {
    if (this.#count === 0) return undefined;
    const slot = sqn & this.#mask;
    const packet = this.#slots[slot];
    if (packet === undefined) return undefined;
    this.#slots[slot] = undefined;
    this.#count -= 1;
    return packet;
  }

  #grow(sqn: number, next: number): void {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(SLOTS_MIN, sqn - next + 1)));
    const grown = Array.from<HeldPacket | undefined>({ length: slots }).fill(undefined);
    for (let held = next; held <= next + this.#mask; held += 1) {
      grown[held & (slots - 1)] = this.#slots[held & this.#mask];
    }
    this.#slots = grown;
    this.#mask = slots - 1;
  }
}
