// The framing `raw`: an APDU is a message, as applications of OpenPGM send and expect it. No
// header, so no publish time either; an empty APDU is an empty message.

import { assert } from '#base/mod.ts';
import type { MalformedReason } from './layout.ts';
import { NO_PUBLISH_TIME } from './publish-time.ts';

/** Packets that one message may be cut into; OpenPGM takes no more. */
export const RAW_FRAGMENTS_MAX = 16;
/** Bytes of one message; OpenPGM takes no more, however few the fragments. */
export const RAW_MESSAGE_BYTES_MAX = 65_535;

/** Puts one message into one TSDU. The memory is the caller's. */
export class RawBlockWriter {
  #into: Uint8Array = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #limit = 0;
  #isFull = false;

  /** Starts an empty TSDU at `at`; it will not grow beyond `limit`. */
  start(into: Uint8Array, at: number, limit: number = into.length): void {
    assert(at <= limit && limit <= into.length, 'a message lies within its memory');
    this.#into = into;
    this.#start = at;
    this.#end = at;
    this.#limit = limit;
    this.#isFull = false;
  }

  /** First position behind what was written. */
  get end(): number {
    return this.#end;
  }

  /** Copies the message; false, and nothing changed, if there is one already or no room. */
  append(payload: Uint8Array, _publishedAtUs: number): boolean {
    if (this.#isFull || payload.length > this.#limit - this.#start) return false;
    this.#into.set(payload, this.#start);
    this.#end = this.#start + payload.length;
    this.#isFull = true;
    return true;
  }
}

/** Walks blocks of one message each. */
export class RawBlockReader {
  /** Messages in the block: always one. */
  messageCount = 0;
  /** The message is [payloadStart, payloadEnd) of the bytes given to open(). */
  payloadStart = 0;
  payloadEnd = 0;
  /** Not stated in this framing. */
  readonly publishedAtUs: number = NO_PUBLISH_TIME;

  #isRead = true;

  /** Opens the block [start, end); any bytes are a message. */
  open(_bytes: Uint8Array, start: number, end: number): MalformedReason | undefined {
    this.messageCount = 1;
    this.payloadStart = start;
    this.payloadEnd = end;
    this.#isRead = false;
    return undefined;
  }

  /** Moves to the message; false the second time. */
  next(): boolean {
    if (this.#isRead) return false;
    this.#isRead = true;
    return true;
  }
}
