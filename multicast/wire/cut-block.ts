// Takes some of the messages of a block out of it, as a block of the same framing. For who has been
// told of the others already.

import { assert, type Framing, unreachable } from '#base/mod.ts';
import { newBlockReader } from './block-reader.ts';
import { NATIVE_BLOCK_HEADER_BYTES } from './native-framing.ts';

/** A block: [start, end) of `bytes`. */
export interface Block {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * The messages of a well-formed block from the one at index `from` to before that at index `to`, at
 * least one of them and not more than there are. What need not be copied is not.
 */
export function cutBlock(framing: Framing, block: Block, from: number, to: number): Block {
  const { start, end } = rangeOf(framing, block, from, to);
  switch (framing) {
    case 'native':
      return withHeader(block, start, end);
    case 'raw':
    case 'zmq':
      return { bytes: block.bytes, start, end };
    default:
      return unreachable(framing);
  }
}

/** Where the wanted messages lie, with what stands in front of each. */
function rangeOf(
  framing: Framing,
  { bytes, start, end }: Block,
  from: number,
  to: number,
): { readonly start: number; readonly end: number } {
  const reader = newBlockReader(framing);
  assert(reader.open(bytes, start, end) === undefined, 'a block that is cut is well-formed');
  assert(from >= 0 && from < to && to <= reader.messageCount, 'a cut leaves a message');
  let firstStart = framing === 'native' ? start + NATIVE_BLOCK_HEADER_BYTES : start;
  for (let index = 0; index < to; index += 1) {
    if (index > 0 && index === from) firstStart = reader.payloadEnd;
    reader.next();
  }
  return { start: firstStart, end: reader.payloadEnd };
}

/** Publish times are differences from the one in the block's header. */
function withHeader(block: Block, start: number, end: number): Block {
  const headerEnd = block.start + NATIVE_BLOCK_HEADER_BYTES;
  if (start === headerEnd) return { bytes: block.bytes, start: block.start, end };
  const bytes = new Uint8Array(NATIVE_BLOCK_HEADER_BYTES + end - start);
  bytes.set(block.bytes.subarray(block.start, headerEnd));
  bytes.set(block.bytes.subarray(start, end), NATIVE_BLOCK_HEADER_BYTES);
  return { bytes, start: 0, end: bytes.length };
}
