// The framing `native`: an APDU is a block of messages. Many small messages share one packet; a
// large message is a block of its own that the publisher cuts into fragments. Other framings are
// other files with the same two halves; which one a channel uses is a property of the channel.
//
//     0        version, 1
//     1 … 8    base: publish time in µs since 1970, 64 bits big-endian
//     then, per message:
//       varint  payload bytes
//       varint  publish time − base in µs, zigzag
//       payload
//
// A varint is 1 to 5 bytes of 7 bits, lowest first, the top bit set on all but the last, its value
// below 2^31. The base is the first message's time. Times may go backwards, since a wall clock may
// be set; a step that does not fit (18 minutes) simply ends the block, and the next one has a base
// of its own.
//
// Hot path: per message; no allocation except what copies a payload.

import { assert, PACKET_MESSAGES_MAX } from '#base/mod.ts';
import { readSafeU64, writeSafeU64 } from './bytes.ts';
import type { MalformedReason } from './layout.ts';

const VERSION = 1;
/** Version and base, in front of the first message. */
export const NATIVE_BLOCK_HEADER_BYTES = 9;
/** Largest distance of a publish time from the base: what zigzag brings below 2^31. */
const DELTA_US_MAX = 2 ** 30 - 1;
const VARINT_BYTES_MAX = 5;

/** Bytes of a block that holds one message of `payloadBytes` and nothing else. */
export function singleMessageBlockBytes(payloadBytes: number): number {
  return NATIVE_BLOCK_HEADER_BYTES + varintBytes(payloadBytes) + 1 + payloadBytes;
}

/**
 * Fills one block after another. The memory is the caller's; nothing is kept but the place in it.
 */
export class NativeBlockWriter {
  #into: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #limit = 0;
  #baseUs = 0;
  #messageCount = 0;

  /** Starts an empty block at `at`; it will not grow beyond `limit`. */
  start(into: Uint8Array, at: number, limit: number = into.length): void {
    assert(at <= limit && limit <= into.length, 'a block lies within its memory');
    this.#into = into;
    this.#start = at;
    this.#end = at + NATIVE_BLOCK_HEADER_BYTES;
    this.#limit = limit;
    this.#messageCount = 0;
  }

  /** Messages in the block. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Where the block ends: first position behind it. An empty block ends where it starts. */
  get end(): number {
    return this.#messageCount === 0 ? this.#start : this.#end;
  }

  /**
   * Whether a message of `payloadBytes` certainly fits, whatever its publish time within 18 minutes
   * of the base.
   */
  fits(payloadBytes: number): boolean {
    if (this.#messageCount >= PACKET_MESSAGES_MAX) return false;
    const deltaBytes = this.#messageCount === 0 ? 1 : VARINT_BYTES_MAX;
    return varintBytes(payloadBytes) + deltaBytes + payloadBytes <= this.#limit - this.#end;
  }

  /**
   * Adds a copy of `payload`, published at `publishedAtUs` (integer, 0 … 2^53 − 1). False, and
   * nothing changed, if it does not fit: no room, too many messages, or a publish time too far from
   * the first's.
   */
  append(payload: Uint8Array, publishedAtUs: number): boolean {
    const payloadBytes = payload.length;
    const isFirst = this.#messageCount === 0;
    const deltaUs = isFirst ? 0 : publishedAtUs - this.#baseUs;
    if (deltaUs > DELTA_US_MAX || deltaUs < -DELTA_US_MAX) return false;
    if (this.#messageCount >= PACKET_MESSAGES_MAX) return false;
    const zigzag = (deltaUs << 1) ^ (deltaUs >> 31);
    const neededBytes = varintBytes(payloadBytes) + varintBytes(zigzag) + payloadBytes;
    if (neededBytes > this.#limit - this.#end) return false;
    if (isFirst) this.#writeHeader(publishedAtUs);
    const lengthEnd = writeVarint(this.#into, this.#end, payloadBytes);
    const payloadStart = writeVarint(this.#into, lengthEnd, zigzag);
    this.#into.set(payload, payloadStart);
    this.#end = payloadStart + payloadBytes;
    this.#messageCount += 1;
    return true;
  }

  #writeHeader(baseUs: number): void {
    this.#baseUs = baseUs;
    this.#into[this.#start] = VERSION;
    writeSafeU64(this.#into, this.#start + 1, baseUs);
  }
}

/**
 * Walks the messages of one block after another: open() once, then next() until it returns false.
 */
export class NativeBlockReader {
  /** Messages in the block. */
  messageCount = 0;
  /**
   * The payload of the current message: [payloadStart, payloadEnd) of the bytes given to open().
   */
  payloadStart = 0;
  payloadEnd = 0;
  /** Publish time of the current message in µs since 1970. */
  publishedAtUs = 0;

  #bytes: Uint8Array = new Uint8Array(0);
  #baseUs = 0;
  #messagesLeft = 0;

  /**
   * Opens the block [start, end) and checks all of it, so that next() cannot meet anything
   * malformed.
   */
  open(bytes: Uint8Array, start: number, end: number): MalformedReason | undefined {
    this.messageCount = 0;
    this.#messagesLeft = 0;
    if (end - start < NATIVE_BLOCK_HEADER_BYTES) return 'block';
    if (bytes[start] !== VERSION) return 'block_version';
    const count = countMessages(bytes, start, end);
    if (count === -1) return 'block';
    this.messageCount = count;
    this.payloadEnd = start + NATIVE_BLOCK_HEADER_BYTES;
    this.#messagesLeft = count;
    this.#bytes = bytes;
    this.#baseUs = readSafeU64(bytes, start + 1);
    return undefined;
  }

  /** Moves to the next message; false when there is none. */
  next(): boolean {
    if (this.#messagesLeft === 0) return false;
    this.#messagesLeft -= 1;
    const bytes = this.#bytes;
    const lengthAt = this.payloadEnd;
    const deltaAt = varintEnd(bytes, lengthAt, bytes.length);
    this.payloadStart = varintEnd(bytes, deltaAt, bytes.length);
    this.payloadEnd = this.payloadStart + varintValue(bytes, lengthAt);
    this.publishedAtUs = this.#baseUs + unzigzag(varintValue(bytes, deltaAt));
    return true;
  }
}

/**
 * Messages in the block [start, end), 1 to PACKET_MESSAGES_MAX; −1 if anything in it is malformed.
 */
export function countMessages(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < NATIVE_BLOCK_HEADER_BYTES || bytes[start] !== VERSION) return -1;
  const baseUs = readSafeU64(bytes, start + 1);
  if (baseUs === -1) return -1;
  let count = 0;
  let at = start + NATIVE_BLOCK_HEADER_BYTES;
  while (at < end) {
    const deltaAt = varintEnd(bytes, at, end);
    const payloadStart = deltaAt === -1 ? -1 : varintEnd(bytes, deltaAt, end);
    if (payloadStart === -1) return -1;
    const publishedAtUs = baseUs + unzigzag(varintValue(bytes, deltaAt));
    if (publishedAtUs < 0 || publishedAtUs > Number.MAX_SAFE_INTEGER) return -1;
    const payloadBytes = varintValue(bytes, at);
    if (payloadBytes > end - payloadStart || count === PACKET_MESSAGES_MAX) return -1;
    at = payloadStart + payloadBytes;
    count += 1;
  }
  return count === 0 ? -1 : count;
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

function writeVarint(into: Uint8Array, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 0x80) {
    into[end] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    end += 1;
  }
  into[end] = rest;
  return end + 1;
}

// Where the varint at `at` ends; −1 if it is cut short, longer than needed, or 2^31 and more.
function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] < 0x80) return at + 1;
  const lastPossible = Math.min(end - 1, at + VARINT_BYTES_MAX - 1);
  for (let i = at + 1; i <= lastPossible; i += 1) {
    const byte = bytes[i];
    if (byte >= 0x80) continue;
    const isCanonical = byte !== 0 && (i - at < 4 || byte < 0x08);
    return isCanonical ? i + 1 : -1;
  }
  return -1;
}

// The value of a varint that varintEnd() found sound.
function varintValue(bytes: Uint8Array, at: number): number {
  let value = bytes[at] & 0x7f;
  for (let i = at, shift = 7; bytes[i] >= 0x80; i += 1, shift += 7) {
    value |= (bytes[i + 1] & 0x7f) << shift;
  }
  return value;
}
