// The framing `zmq`, as ZeroMQ's epgm:// transport sends it: the payloads of a publisher's packets
// are slices of one stream of ZMTP/1.0 frames (ZeroMQ RFC 13), each slice behind two bytes that say
// where in it the first message starts.
//
//     TSDU       offset 2 │ slice of the stream
//     offset     bytes of the slice before the first frame that starts a message;
//                0xFFFF: none starts here; the slice's length: one ended exactly here
//     frame      length 1 (body + 1, below 255) │ flags 1 │ body
//                or FF │ length 8 (body + 1) │ flags 1 │ body
//     flags      bit 0: more frames of this message follow; the rest is zero
//     message    one or more frames, all but the last with the bit set
//
// A message here is its frames, exactly as they stand on the wire: nothing is lost of one that has
// several parts, and it says itself where they lie.

import { assert, PACKET_MESSAGES_MAX, unreachable } from '#base/mod.ts';
import { readU16, writeSafeU64, writeU16 } from './bytes.ts';
import type { MalformedReason } from './layout.ts';
import { NO_PUBLISH_TIME } from './publish-time.ts';

/** Bytes of the offset that opens every TSDU. */
export const ZMQ_OFFSET_BYTES = 2;
/** Offset of a TSDU in which no message starts. */
export const ZMQ_NO_START = 0xffff;
/** Header of a frame whose body is long; a short one has 2 bytes. */
export const ZMQ_FRAME_HEADER_BYTES_MAX = 10;
/** Answers of ZmqMessageScanner.scan beside a position. */
export const ZMQ_UNFINISHED = -1;
export const ZMQ_CORRUPT = -2;

const FLAG_MORE = 0x01;
const LONG = 0xff;
/** A length of one byte counts the flags too, and 255 announces a longer one. */
const SHORT_BODY_BYTES_MAX = LONG - 2;
const SHORT_HEADER_BYTES = 2;

/**
 * Finds where a message ends, in pieces: what is left unfinished in one TSDU goes on in the next.
 */
export class ZmqMessageScanner {
  readonly #messageBytesMax: number;
  #messageBytes = 0;
  #step: 'length' | 'long_length' | 'flags' | 'body' = 'length';
  #lengthBytesLeft = 0;
  #bodyBytesLeft = 0;
  #hasMore = false;

  /** A message of more than `messageBytesMax` bytes, frame headers included, is corrupt. */
  constructor(messageBytesMax: number = Number.MAX_SAFE_INTEGER) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** Bytes of the current message so far. */
  get messageBytes(): number {
    return this.#messageBytes;
  }

  /** Forgets the message that is not finished: the next byte starts one. */
  reset(): void {
    this.#step = 'length';
    this.#messageBytes = 0;
    this.#hasMore = false;
  }

  /**
   * Goes on with the current message in [at, end): where it ends, ZMQ_UNFINISHED if behind `end`,
   * or ZMQ_CORRUPT. What follows an end is a new message.
   */
  scan(bytes: Uint8Array, at: number, end: number): number {
    let next = at;
    while (next < end) {
      const before = next;
      if (this.#step === 'body') {
        next += Math.min(this.#bodyBytesLeft, end - next);
        this.#bodyBytesLeft -= next - before;
      } else {
        if (!this.#readHeaderByte(bytes[next])) return ZMQ_CORRUPT;
        next += 1;
      }
      this.#messageBytes += next - before;
      if (this.#step !== 'body' || this.#bodyBytesLeft > 0) continue;
      this.#step = 'length';
      if (this.#hasMore) continue;
      this.#messageBytes = 0;
      return next;
    }
    return ZMQ_UNFINISHED;
  }

  /** Takes one byte of a frame's header; false if it cannot stand there. */
  #readHeaderByte(byte: number): boolean {
    switch (this.#step) {
      case 'length':
        this.#lengthBytesLeft = byte === LONG ? 8 : 0;
        this.#bodyBytesLeft = byte === LONG ? 0 : byte;
        this.#step = byte === LONG ? 'long_length' : 'flags';
        return byte > 0 && this.#hasRoom();
      case 'long_length':
        this.#bodyBytesLeft = this.#bodyBytesLeft * 256 + byte;
        this.#lengthBytesLeft -= 1;
        if (this.#lengthBytesLeft === 0) this.#step = 'flags';
        return this.#hasRoom() && (this.#lengthBytesLeft > 0 || this.#bodyBytesLeft > 0);
      case 'flags':
        this.#hasMore = (byte & FLAG_MORE) !== 0;
        this.#bodyBytesLeft -= 1;
        this.#step = 'body';
        return (byte & ~FLAG_MORE) === 0;
      case 'body':
        return false;
      default:
        return unreachable(this.#step);
    }
  }

  #hasRoom(): boolean {
    return this.#bodyBytesLeft <= this.#messageBytesMax - this.#messageBytes;
  }
}

/**
 * Fills one TSDU after another with whole messages, so that a lost packet costs no other's. What is
 * too large for one is sliced by the publisher.
 */
export class ZmqBlockWriter {
  readonly #scanner = new ZmqMessageScanner();
  #into: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #limit = 0;
  #messageCount = 0;

  /** Starts an empty TSDU at `at`; it will not grow beyond `limit`. */
  start(into: Uint8Array, at: number, limit: number = into.length): void {
    assert(at + ZMQ_OFFSET_BYTES <= limit && limit <= into.length, 'a TSDU lies within its memory');
    this.#into = into;
    this.#start = at;
    this.#end = at + ZMQ_OFFSET_BYTES;
    this.#limit = limit;
    this.#messageCount = 0;
  }

  /** First position behind the TSDU. An empty one ends where it starts. */
  get end(): number {
    return this.#messageCount === 0 ? this.#start : this.#end;
  }

  /**
   * Adds a copy of a message, which is given as its frames; false, and nothing changed, if it does
   * not fit. Anything but frames would make ZeroMQ's subscribers abort: a broken invariant.
   */
  append(message: Uint8Array, _publishedAtUs: number): boolean {
    if (message.length > this.#limit - this.#end) return false;
    if (this.#messageCount >= PACKET_MESSAGES_MAX) return false;
    assertMessage(this.#scanner, message);
    if (this.#messageCount === 0) writeU16(this.#into, this.#start, 0);
    this.#into.set(message, this.#end);
    this.#end += message.length;
    this.#messageCount += 1;
    return true;
  }
}

/**
 * The TSDUs of a message that is too large for one, each at most `tsduBytesMax`: the first says
 * that a message starts with it, the others that none does.
 */
export function zmqSlices(message: Uint8Array, tsduBytesMax: number): Uint8Array[] {
  assertMessage(new ZmqMessageScanner(), message);
  const sliceBytesMax = tsduBytesMax - ZMQ_OFFSET_BYTES;
  const slices: Uint8Array[] = [];
  for (let start = 0; start < message.length; start += sliceBytesMax) {
    const slice = message.subarray(start, start + sliceBytesMax);
    const tsdu = new Uint8Array(ZMQ_OFFSET_BYTES + slice.length);
    writeU16(tsdu, 0, start === 0 ? 0 : ZMQ_NO_START);
    tsdu.set(slice, ZMQ_OFFSET_BYTES);
    slices.push(tsdu);
  }
  return slices;
}

function assertMessage(scanner: ZmqMessageScanner, message: Uint8Array): void {
  scanner.reset();
  const end = scanner.scan(message, 0, message.length);
  assert(end === message.length, 'what is published here is the frames of one message');
}

/** Walks blocks of whole messages, one behind the other. */
export class ZmqBlockReader {
  /** Messages in the block. */
  messageCount = 0;
  /** The frames of the current message: [payloadStart, payloadEnd) of what open() was given. */
  payloadStart = 0;
  payloadEnd = 0;
  /** Not stated in this framing. */
  readonly publishedAtUs: number = NO_PUBLISH_TIME;

  readonly #scanner = new ZmqMessageScanner();
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;

  /**
   * Opens the block [start, end) and checks all of it, so that next() cannot meet anything
   * malformed.
   */
  open(bytes: Uint8Array, start: number, end: number): MalformedReason | undefined {
    this.messageCount = 0;
    this.#end = start;
    const count = this.#count(bytes, start, end);
    if (count === 0) return 'block';
    this.messageCount = count;
    this.payloadEnd = start;
    this.#bytes = bytes;
    this.#end = end;
    return undefined;
  }

  /** Moves to the next message; false when there is none. */
  next(): boolean {
    if (this.payloadEnd >= this.#end) return false;
    this.payloadStart = this.payloadEnd;
    this.payloadEnd = this.#scanner.scan(this.#bytes, this.payloadStart, this.#end);
    return true;
  }

  /** Whole messages in [start, end); 0 if there is anything else in it. */
  #count(bytes: Uint8Array, start: number, end: number): number {
    this.#scanner.reset();
    let count = 0;
    let at = start;
    while (at < end) {
      at = this.#scanner.scan(bytes, at, end);
      if (at < 0) return 0;
      count += 1;
    }
    return count;
  }
}

/** The bytes of a TSDU's slice before the first message that starts in it, or ZMQ_NO_START. */
export function readZmqOffset(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at);
}

/** One message of these parts, at least one, as frames. */
export function zmqMessage(parts: readonly Uint8Array[]): Uint8Array {
  assert(parts.length > 0, 'a message has at least one part');
  const message = new Uint8Array(parts.reduce((sum, part) => sum + zmqFrameBytes(part.length), 0));
  let at = 0;
  for (const [index, part] of parts.entries()) {
    at = writeFrameHeader(message, at, part.length, index < parts.length - 1);
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/**
 * The parts of a message that is given as its frames, as views; what follows a malformed frame is
 * left out.
 */
export function zmqParts(message: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < message.length) {
    const isLong = message[at] === LONG;
    const bodyStart = at + (isLong ? ZMQ_FRAME_HEADER_BYTES_MAX : SHORT_HEADER_BYTES);
    const lengthBytes = isLong ? message.subarray(at + 1, at + 9) : message.subarray(at, at + 1);
    const frameBytes = lengthBytes.reduce((length, byte) => length * 256 + byte, 0);
    const bodyEnd = bodyStart + frameBytes - 1;
    if (frameBytes === 0 || bodyEnd > message.length) return parts;
    parts.push(message.subarray(bodyStart, bodyEnd));
    at = bodyEnd;
  }
  return parts;
}

/** Bytes of a frame with a body of `bodyBytes`. */
export function zmqFrameBytes(bodyBytes: number): number {
  const headerBytes =
    bodyBytes > SHORT_BODY_BYTES_MAX ? ZMQ_FRAME_HEADER_BYTES_MAX : SHORT_HEADER_BYTES;
  return headerBytes + bodyBytes;
}

function writeFrameHeader(
  into: Uint8Array,
  at: number,
  bodyBytes: number,
  hasMore: boolean,
): number {
  const flags = hasMore ? FLAG_MORE : 0;
  if (bodyBytes <= SHORT_BODY_BYTES_MAX) {
    into[at] = bodyBytes + 1;
    into[at + 1] = flags;
    return at + SHORT_HEADER_BYTES;
  }
  into[at] = LONG;
  writeSafeU64(into, at + 1, bodyBytes + 1);
  into[at + 9] = flags;
  return at + ZMQ_FRAME_HEADER_BYTES_MAX;
}
