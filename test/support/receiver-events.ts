// What a receiver would tell, made by hand: for tests of those who listen to one.

import type { SessionId } from '#base/mod.ts';
import type { MessagesDelivered, MessagesLost } from '#multicast/core/mod.ts';
import { NativeBlockWriter, zmqMessage } from '#multicast/wire/mod.ts';

/** 2026-11-22T10:13:20.123457Z */
const PUBLISHED_AT_US = 1_795_342_400_123_457;
const BLOCK_OVERHEAD_BYTES = 64;
const MESSAGE_OVERHEAD_BYTES_MAX = 16;

/** Publish time of the message `sequence` in what `delivered` makes. */
export function publishedAtUsOf(sequence: number): number {
  return PUBLISHED_AT_US + (sequence % 1_000);
}

/** A packet of messages from `firstSequence` on, somewhere inside a larger memory. */
export function delivered(
  session: SessionId,
  firstSequence: number,
  payloads: readonly Uint8Array[],
  nextSqn = firstSequence,
): MessagesDelivered {
  const payloadBytes = payloads.reduce((sum, { length }) => sum + length, 0);
  const start = 48;
  const bytes = new Uint8Array(
    start + BLOCK_OVERHEAD_BYTES + payloadBytes + payloads.length * MESSAGE_OVERHEAD_BYTES_MAX,
  ).fill(0xee);
  const writer = new NativeBlockWriter();
  writer.start(bytes, start);
  for (const [index, payload] of payloads.entries()) {
    writer.append(payload, publishedAtUsOf(firstSequence + index));
  }
  const messageCount = payloads.length;
  const end = writer.end;
  const lastSequence = firstSequence + messageCount - 1;
  const numbers = { firstSequence, messageCount, lastSequence, nextSqn };
  return { kind: 'messages', session, ...numbers, bytes, start, end };
}

/**
 * What a channel of another framing than ours delivers: the numbers behind the last message through
 * `lastSequence` name none. A block of the framing `raw` has one message.
 */
export function deliveredIn(
  framing: 'raw' | 'zmq',
  session: SessionId,
  numbers: Pick<MessagesDelivered, 'firstSequence' | 'lastSequence' | 'nextSqn'>,
  payloads: readonly Uint8Array[],
): MessagesDelivered {
  const texts = framing === 'raw' ? payloads : payloads.map((payload) => zmqMessage([payload]));
  const bytes = Buffer.concat([new Uint8Array(5).fill(0xee), ...texts, new Uint8Array(3)]);
  const messageCount = framing === 'raw' ? 1 : payloads.length;
  return {
    kind: 'messages',
    session,
    ...numbers,
    messageCount,
    bytes,
    start: 5,
    end: bytes.length - 3,
  };
}

/** A loss of the sequences from `firstSequence` through `lastSequence`. */
export function lost(
  session: SessionId,
  firstSequence: number,
  lastSequence: number,
  nextSqn = lastSequence + 1,
): MessagesLost {
  return { kind: 'lost', session, firstSequence, lastSequence, cause: 'repair_expired', nextSqn };
}
