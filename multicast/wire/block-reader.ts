// What a receiver delivers is a block: a run of bytes that holds messages one behind the other, cut
// as the framing of the channel says. This walks any of them; how the bytes are cut stands in the
// framing's own file.

import { type Framing, unreachable } from '#base/mod.ts';
import type { MalformedReason } from './layout.ts';
import { NativeBlockReader } from './native-framing.ts';
import { RawBlockReader } from './raw-framing.ts';
import { ZmqBlockReader } from './zmq-framing.ts';

/**
 * Walks the messages of one block after another: open() once, then next() until it returns false.
 */
export interface BlockReader {
  /** Messages in the block. */
  readonly messageCount: number;
  /** The current message is [payloadStart, payloadEnd) of the bytes given to open(). */
  readonly payloadStart: number;
  readonly payloadEnd: number;
  /** Publish time of the current message in µs since 1970, or NO_PUBLISH_TIME. */
  readonly publishedAtUs: number;
  /** Opens the block [start, end), all of it checked: next() meets nothing malformed. */
  open(bytes: Uint8Array, start: number, end: number): MalformedReason | undefined;
  /** Moves to the next message; false when there is none. */
  next(): boolean;
}

/** A reader for the blocks of a channel with this framing. */
export function newBlockReader(framing: Framing): BlockReader {
  switch (framing) {
    case 'native':
      return new NativeBlockReader();
    case 'raw':
      return new RawBlockReader();
    case 'zmq':
      return new ZmqBlockReader();
    default:
      return unreachable(framing);
  }
}
