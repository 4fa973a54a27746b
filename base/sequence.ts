// The number of a message within its session: 1, 2, 3 … without holes, 64 bits on the wire, at most
// 2^53 − 1 so that a plain number holds it. Not the SQN of PGM, which numbers packets, has 32 bits
// and never leaves multicast/. A plain number rather than a brand: sequences are added and compared
// on every line of the hot path, and a cast per line would hide more mistakes than it finds. Names
// tell them apart.

/** 2^53 − 1: at ten million messages a second a session lasts 28 years. */
export const SEQUENCE_MAX: number = Number.MAX_SAFE_INTEGER;

/** A run of sequences or positions, both ends included. */
export interface SequenceRange {
  readonly first: number;
  readonly last: number;
}
