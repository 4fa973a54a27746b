// What a receiver told, as bytes and back: the content of the spool's entries. Blocks of messages
// are binary, since there are many of them; everything else is JSON, since there is little of it.
//
//   0   kind          1   1 messages, 2 anything else
//   1   heard at      8   µs since 1970, of the host that heard it
//   messages:
//   9   session       8
//   17  first         8   first sequence
//   25  last          8   last sequence accounted for
//   33  next SQN      8
//   41  count         4   messages in the block
//   45  the block
//   anything else:
//   9   JSON

import { assert, type SessionId, sessionFromWords, sessionToWords } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';

/** What was told, and when. */
export interface SpooledEvent {
  readonly event: ReceiverEvent;
  readonly heardAtUs: number;
}

const KIND_MESSAGES = 1;
const KIND_OTHER = 2;
const HEARD_AT = 1;
const JSON_AT = 9;
const SESSION_AT = 9;
const FIRST_AT = 17;
const LAST_AT = 25;
const NEXT_SQN_AT = 33;
const COUNT_AT = 41;
const BLOCK_AT = 45;

/** The content of an entry. The bytes of a block are copied. */
export function writeSpooledEvent({ event, heardAtUs }: SpooledEvent): Buffer {
  if (event.kind !== 'messages') {
    const json = Buffer.from(JSON.stringify(event));
    const other = Buffer.alloc(JSON_AT + json.length);
    other[0] = KIND_OTHER;
    writeNumber(other, HEARD_AT, heardAtUs);
    other.set(json, JSON_AT);
    return other;
  }
  const { high, low } = sessionToWords(event.session);
  const content = Buffer.allocUnsafe(BLOCK_AT + event.end - event.start);
  content[0] = KIND_MESSAGES;
  writeNumber(content, HEARD_AT, heardAtUs);
  content.writeUInt32BE(high, SESSION_AT);
  content.writeUInt32BE(low, SESSION_AT + 4);
  writeNumber(content, FIRST_AT, event.firstSequence);
  writeNumber(content, LAST_AT, event.lastSequence);
  writeNumber(content, NEXT_SQN_AT, event.nextSqn);
  content.writeUInt32BE(event.messageCount, COUNT_AT);
  content.set(event.bytes.subarray(event.start, event.end), BLOCK_AT);
  return content;
}

/** What an entry holds, as it was written: its checksum has been verified. */
export function readSpooledEvent(content: Uint8Array): SpooledEvent {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const heardAtUs = readNumber(bytes, HEARD_AT);
  if (bytes[0] === KIND_OTHER) {
    return { event: JSON.parse(bytes.toString('utf8', JSON_AT)) as ReceiverEvent, heardAtUs };
  }
  assert(bytes[0] === KIND_MESSAGES, 'an entry is of a known kind');
  const session: SessionId = sessionFromWords(
    bytes.readUInt32BE(SESSION_AT),
    bytes.readUInt32BE(SESSION_AT + 4),
  );
  return {
    event: {
      kind: 'messages',
      session,
      firstSequence: readNumber(bytes, FIRST_AT),
      lastSequence: readNumber(bytes, LAST_AT),
      messageCount: bytes.readUInt32BE(COUNT_AT),
      bytes,
      start: BLOCK_AT,
      end: bytes.length,
      nextSqn: readNumber(bytes, NEXT_SQN_AT),
    },
    heardAtUs,
  };
}

function writeNumber(bytes: Buffer, at: number, value: number): void {
  bytes.writeBigUInt64BE(BigInt(value), at);
}

function readNumber(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64BE(at));
}
