// PGM numbers packets with 32 bits that wrap (RFC 3208 calls them sequence numbers; here SQN,
// because a sequence is the number of a message). This is the only file that calculates with them:
// everything else unwraps an SQN at once and then uses plain numbers that never wrap.
//
// An unwrapped number is any number congruent to the SQN modulo 2^32; which one, the neighbour
// decides:
//
//     near − 2^31 ≤ unwrapped < near + 2^31
//
// The trailing edge of an empty window lies one behind its leading edge, so a session that starts
// at SQN 0 has a packet "before the first". Whoever follows a session should therefore anchor it
// one round up, at 2^32 + its first SQN, where that packet has a number too.

const ROUND = 0x1_0000_0000;

/** How far SQN `a` lies ahead of SQN `b`: −2^31 … 2^31 − 1, negative when `a` is behind. */
export function sqnDistance(a: number, b: number): number {
  return (a - b) | 0;
}

/** The SQN that packet number `unwrapped` (0 … 2^53 − 1) has on the wire. */
export function wrapSqn(unwrapped: number): number {
  return unwrapped >>> 0;
}

/**
 * The packet number congruent to `sqn32` that lies nearest to `near` (0 … 2^53 − 1); of two equally
 * near ones the lower. Never outside 0 … 2^53 − 1: where the nearest would be, it is the next one
 * inside.
 */
export function unwrapSqn(sqn32: number, near: number): number {
  const distance = (sqn32 - (near >>> 0)) | 0;
  if (distance < -near) return near + distance + ROUND;
  if (distance > Number.MAX_SAFE_INTEGER - near) return near + (distance - ROUND);
  return near + distance;
}
