// What the last step of a receiver looks like, whatever the framing: packets in order go in,
// messages and losses in sequence order come out. Also says how the packets of foreign sources are
// numbered.

import { type Framing, type LossCause, unreachable, ZMQ_SEQUENCES_PER_PACKET } from '#base/mod.ts';
import type { SqnRange } from './nak-scheduler.ts';
import type { HeldFragment } from './receive-window.ts';
import type { SequenceAccountOptions } from './sequence-account.ts';

/** What a delivery is made of. */
export interface DeliveryOptions extends SequenceAccountOptions {
  readonly framing: Framing;
  readonly messageBytesMax: number;
}

/** Turns one session's packets into messages and losses. One implementation per kind of framing. */
export interface Delivery {
  /** The first sequence not accounted for, once known. */
  readonly nextSequence: number | undefined;
  /** The packet from which on a later receiver needs everything; undefined if not known yet. */
  readonly resumeSqn: number | undefined;
  /** The next packet in order. `sqn` is unwrapped; `sequence` that of what starts in it. */
  packet(
    sqn: number,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    fragment: HeldFragment | undefined,
  ): void;
  /** Packets were given up here. */
  hole(cause: LossCause, packets: SqnRange): void;
  /** All before packet `nextSqn` are accounted for; `sequence` is the first message not in them. */
  settled(sequence: number, nextSqn: number): void;
  /** Nothing follows for now: what began in the packets before `nextSqn` is not completed. */
  conclude(sequence: number, nextSqn: number): void;
}

/**
 * How many sequences a packet of a foreign source has: one for the APDU that starts in it (raw), or
 * one for each message that may (zmq).
 */
export function placesPerPacketOf(framing: Framing): number {
  switch (framing) {
    case 'native':
    case 'raw':
      return 1;
    case 'zmq':
      return ZMQ_SEQUENCES_PER_PACKET;
    default:
      return unreachable(framing);
  }
}
