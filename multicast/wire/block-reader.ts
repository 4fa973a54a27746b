// What a receiver delivers is a block: a run of bytes that holds messages one behind the other, cut
// as the framing of the channel says. This walks and fills any of them; how the bytes are cut
// stands in the framing's own file.

import { type Framing, unreachable } from '#base/mod.ts';
import type { MalformedReason } from './layout.ts';
import { NativeBlockReader, NativeBlockWriter, singleMessageBlockBytes } from './native-framing.ts';
import { RawBlockReader, RawBlockWriter } from './raw-framing.ts';
import { ZMQ_OFFSET_BYTES, ZmqBlockReader, ZmqBlockWriter } from './zmq-framing.ts';

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

/** Fills the TSDUs of a publisher's packets: start() for each, then append() while it is true. */
export interface BlockWriter {
  /** Starts an empty TSDU at `at`; it will not grow beyond `limit`. */
  start(into: Uint8Array, at: number, limit?: number): void;
  /** First position behind the TSDU. */
  readonly end: number;
  /** Adds a copy of a message; false, and nothing changed, if it has no room here. */
  append(payload: Uint8Array, publishedAtUs: number): boolean;
}

/** A writer for the packets of a channel with this framing. */
export function newBlockWriter(framing: Framing): BlockWriter {
  switch (framing) {
    case 'native':
      return new NativeBlockWriter();
    case 'raw':
      return new RawBlockWriter();
    case 'zmq':
      return new ZmqBlockWriter();
    default:
      return unreachable(framing);
  }
}

/** Bytes of the TSDU, or of the APDU, that holds one message of `payloadBytes` and nothing else. */
export function singleMessageBytes(framing: Framing, payloadBytes: number): number {
  switch (framing) {
    case 'native':
      return singleMessageBlockBytes(payloadBytes);
    case 'raw':
      return payloadBytes;
    case 'zmq':
      return ZMQ_OFFSET_BYTES + payloadBytes;
    default:
      return unreachable(framing);
  }
}
