// The number of a message within its session: 1, 2, 3 … without holes, 64 bits on the wire, at most
// 2^53 − 1 so that a plain number holds it. Not the SQN of PGM, which numbers packets, has 32 bits
// and never leaves multicast/; but the messages of a foreign source, which numbers none, are
// numbered by their packets, with holes. A plain number rather than a brand: sequences are added
// and compared on every line of the hot path, and a cast per line would hide more mistakes than it
// finds. Names tell them apart.

import type { Framing } from './channel.ts';

/** 2^53 − 1: at ten million messages a second a session lasts 28 years. */
export const SEQUENCE_MAX: number = Number.MAX_SAFE_INTEGER;

/**
 * How many numbers a packet of a foreign source has in the framing `zmq`: one for each message that
 * may start in it. More than can, since the shortest has 2 bytes. Otherwise it has one.
 */
export const ZMQ_SEQUENCES_PER_PACKET = 65_536;

/** A run of sequences or positions, both ends included. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}

/** How many packets of a foreign source the numbers from `first` to `last` belong to. */
export function foreignPacketCount(framing: Framing, { first, last }: SequenceRange): number {
  const perPacket = framing === 'zmq' ? ZMQ_SEQUENCES_PER_PACKET : 1;
  return Math.floor(last / perPacket) - Math.floor(first / perPacket) + 1;
}
