// Packets that arrived ahead of a hole, by unwrapped packet number, until the hole is filled or
// given up.
//
//     next (first hole)       lead
//       v                      v
//   ... [ ][p][p][ ][ ][p][p][p]
//
// Takes memory for what is held, however far from the hole that is: a forged packet at the end of
// the reach costs no more than one. Not the knowledge of what is missing (nak-scheduler) nor of
// what is lost (session-receiver).

import { assert, RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';
import { type PacketReader, unwrapSqn } from '#multicast/wire/mod.ts';

/** What is kept of a data packet: its bytes and where in them the content lies. */
export interface HeldPacket {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly sequence: number;
  readonly fragment: HeldFragment | undefined;
  /** It was sent again because somebody asked. */
  readonly isRepair: boolean;
}

/** Which piece of a big message a packet holds; `firstSqn` is unwrapped. */
export interface HeldFragment {
  readonly firstSqn: number;
  readonly startBytes: number;
  readonly apduBytes: number;
}

/** The packets held of one session. */
export class ReceiveWindow {
  /** By the lower 32 bits, which no two packets within reach of each other share. */
  readonly #held = new Map<number, HeldPacket>();

  /** Packets held. */
  get count(): number {
    return this.#held.size;
  }

  /** Whether `sqn` is near enough to `next` to be held. */
  reaches(sqn: number, next: number): boolean {
    return sqn - next < RECEIVE_WINDOW_PACKETS_MAX;
  }

  /** Keeps a packet, which must not be held already. */
  hold(sqn: number, next: number, packet: HeldPacket): void {
    assert(this.reaches(sqn, next), 'a held packet is within reach');
    assert(!this.#held.has(sqn | 0), 'a packet is held once');
    this.#held.set(sqn | 0, packet);
  }

  /** Gives up the packet `sqn`, or undefined if it is not held. */
  release(sqn: number): HeldPacket | undefined {
    if (this.#held.size === 0) return undefined;
    const packet = this.#held.get(sqn | 0);
    if (packet !== undefined) this.#held.delete(sqn | 0);
    return packet;
  }
}

/** The fragment that `reader` has read; `sqn` is the unwrapped number of its packet. */
export function heldFragment(reader: PacketReader, sqn: number): HeldFragment {
  return {
    firstSqn: unwrapSqn(reader.fragmentFirstSqn, sqn),
    startBytes: reader.fragmentStartBytes,
    apduBytes: reader.apduBytes,
  };
}
