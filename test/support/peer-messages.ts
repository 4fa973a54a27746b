// The messages that the peers in test/interop/peers send and check, made here letter by letter in
// the same way (peer.h). Text without a newline, so that `publish` reads them as lines.

const LETTER_A = 0x61;
const LETTERS = 26;

/**
 * Message `index`, from 1, of the sender `seed`: `m<seed>-<index>:` filled up with letters, or cut,
 * to the size whose turn it is in `sizes`.
 */
export function peerMessage(seed: number, index: number, sizes: readonly number[]): Buffer {
  const size = sizes[(index - 1) % sizes.length] ?? 0;
  const message = Buffer.alloc(size);
  const start = message.write(`m${seed}-${index}:`, 'latin1');
  let x = Math.imul(seed, 2_654_435_761) ^ Math.imul(index, 40_503) ^ 0x9e37_79b9;
  if (x === 0) x = 1;
  for (let at = start; at < size; at += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    message[at] = LETTER_A + ((x >>> 0) % LETTERS);
  }
  return message;
}

/** Messages 1 to `count` of a sender. */
export function peerMessages(seed: number, count: number, sizes: readonly number[]): Buffer[] {
  return Array.from({ length: count }, (_, at) => peerMessage(seed, at + 1, sizes));
}
