// What a receiver told, as bytes and back: the content of the spool's entries. Blocks of messages
// are binary, since there are many of them; everything else is JSON, since there is little of it.
//
//   0   kind          1   1 messages, 2 anything else
//   1   heard at      8   µs since 1970, of the host that heard it
//   9   TSI bytes     1
//   10  foreign       1   1 if the session is a foreign source's
//   11  TSI
//   messages, behind the TSI:
//   0   session       8
//   8   first         8   first sequence
//   16  last          8   last sequence accounted for
//   24  next SQN      8
//   32  count         4   messages in the block
//   36  the block
//   anything else, behind the TSI:
//   0   JSON
//
// Every entry says of which source its session is, so that a session whose opening can no longer be
// read is still known for what it is.

import { assert, sessionFromWords, sessionToWords } from '#base/mod.ts';
import type { MessagesDelivered, ReceiverEvent } from '#multicast/core/mod.ts';

/** Of which source a session is. */
export interface SessionIdentity {
  readonly tsi: string;
  readonly isForeign: boolean;
}

/** What was told, when, and of which source. */
export interface SpooledEvent {
  readonly event: ReceiverEvent;
  readonly heardAtUs: number;
  /** Undefined where nobody will ask. */
  readonly identity?: SessionIdentity | undefined;
}

const NO_IDENTITY: SessionIdentity = { tsi: '', isForeign: false };
const KIND_MESSAGES = 1;
const KIND_OTHER = 2;
const WORD = 2 ** 32;
const HEARD_AT = 1;
const TSI_BYTES_AT = 9;
const FOREIGN_AT = 10;
const TSI_AT = 11;
const TSI_BYTES_MAX = 255;
// From the end of the TSI:
const SESSION_AT = 0;
const FIRST_AT = 8;
const LAST_AT = 16;
const NEXT_SQN_AT = 24;
const COUNT_AT = 32;
const BLOCK_AT = 36;

/** The content of an entry. The bytes of a block are copied. */
export function writeSpooledEvent({ event, heardAtUs, identity }: SpooledEvent): Buffer {
  const { tsi, isForeign } = identity ?? NO_IDENTITY;
  assert(tsi.length <= TSI_BYTES_MAX, 'the name of a transport is short');
  const start = TSI_AT + tsi.length;
  const json = event.kind === 'messages' ? undefined : JSON.stringify(event);
  const restBytes =
    event.kind === 'messages' ? BLOCK_AT + event.end - event.start : Buffer.byteLength(json ?? '');
  const content = Buffer.allocUnsafe(start + restBytes);
  content[0] = event.kind === 'messages' ? KIND_MESSAGES : KIND_OTHER;
  writeNumber(content, HEARD_AT, heardAtUs);
  content[TSI_BYTES_AT] = tsi.length;
  content[FOREIGN_AT] = Number(isForeign);
  content.write(tsi, TSI_AT, 'latin1');
  if (event.kind === 'messages') writeBlock(content, start, event);
  else content.write(json ?? '', start, 'utf8');
  return content;
}

/** What an entry holds, as it was written: its checksum has been verified. */
export function readSpooledEvent(content: Uint8Array): SpooledEvent {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const heardAtUs = readNumber(bytes, HEARD_AT);
  const start = TSI_AT + (bytes[TSI_BYTES_AT] ?? 0);
  const isForeign = bytes[FOREIGN_AT] === 1;
  const tsi = bytes.toString('latin1', TSI_AT, start);
  const identity = tsi === '' ? undefined : { tsi, isForeign };
  if (bytes[0] === KIND_OTHER) {
    const event = JSON.parse(bytes.toString('utf8', start)) as ReceiverEvent;
    return { event, heardAtUs, identity };
  }
  assert(bytes[0] === KIND_MESSAGES, 'an entry is of a known kind');
  return { event: readBlock(bytes, start), heardAtUs, identity };
}

function writeBlock(content: Buffer, start: number, event: MessagesDelivered): void {
  const { high, low } = sessionToWords(event.session);
  content.writeUInt32BE(high, start + SESSION_AT);
  content.writeUInt32BE(low, start + SESSION_AT + 4);
  writeNumber(content, start + FIRST_AT, event.firstSequence);
  writeNumber(content, start + LAST_AT, event.lastSequence);
  writeNumber(content, start + NEXT_SQN_AT, event.nextSqn);
  content.writeUInt32BE(event.messageCount, start + COUNT_AT);
  content.set(event.bytes.subarray(event.start, event.end), start + BLOCK_AT);
}

function readBlock(bytes: Buffer, start: number): MessagesDelivered {
  const high = bytes.readUInt32BE(start + SESSION_AT);
  const low = bytes.readUInt32BE(start + SESSION_AT + 4);
  return {
    kind: 'messages',
    session: sessionFromWords(high, low),
    firstSequence: readNumber(bytes, start + FIRST_AT),
    lastSequence: readNumber(bytes, start + LAST_AT),
    messageCount: bytes.readUInt32BE(start + COUNT_AT),
    bytes,
    start: start + BLOCK_AT,
    end: bytes.length,
    nextSqn: readNumber(bytes, start + NEXT_SQN_AT),
  };
}

/** A whole number up to 2^53 as 64 bits; faster than through a bigint. */
function writeNumber(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE(Math.floor(value / WORD), at);
  bytes.writeUInt32BE(value % WORD, at + 4);
}

function readNumber(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * WORD + bytes.readUInt32BE(at + 4);
}
