// The framing `raw`: an APDU is a message, as applications of OpenPGM send and expect it. No
// header, so no publish time either; an empty APDU is an empty message.

import type { MalformedReason } from './layout.ts';
import { NO_PUBLISH_TIME } from './publish-time.ts';

/** Packets that one message may be cut into; OpenPGM takes no more. */
export const RAW_FRAGMENTS_MAX = 16;
/** Bytes of one message; OpenPGM takes no more, however few the fragments. */
export const RAW_MESSAGE_BYTES_MAX = 65_535;

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
