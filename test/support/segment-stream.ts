// Segment streams for tests, made of plain messages, and taken apart again into plain messages.

import { SegmentBuilder } from '#archive/segment/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  encodeRuns,
  jsonFrame,
  type MessageBlock,
  type StreamEntry,
  SegmentStreamDecoder,
} from '#client/stream/mod.ts';

/** A message, as a stream tells of it. */
export interface ToldMessage {
  readonly position: number;
  readonly session: SessionId;
  readonly sequence: number;
  readonly publishedAtUs: number;
  readonly payload: Uint8Array;
}

/** Messages of one session with consecutive sequences, at the next positions. */
export interface RunOfMessages {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly archivedAtUs: number;
  readonly messages: readonly Pick<ToldMessage, 'publishedAtUs' | 'payload'>[];
}

/** The beginning of a stream of channel `orders`. */
export function beginFrame(order: 'asc' | 'desc' = 'asc'): Uint8Array {
  const begin = { kind: 'begin', version: 1, channel: 'orders', framing: 'native', order };
  return jsonFrame('begin', JSON.stringify({ ...begin, archivedThrough: 9 }));
}

/** A frame that says who publishes `session`. */
export function sessionFrame(session: SessionId, source: string | null): Uint8Array {
  return jsonFrame(
    'session',
    JSON.stringify({ kind: 'session', session, source, isForeign: false }),
  );
}

/** The end of a stream of `count` messages. */
export function endFrame(count: number): Uint8Array {
  const end = { kind: 'end', complete: true, status: 'complete', count, lastPosition: null };
  const where = { archivedThrough: 9, cursor: null, next: null, askAgainMs: null };
  return jsonFrame('end', JSON.stringify({ ...end, ...where }));
}

/** One frame of `runs`, the first of which begins at `firstPosition`. */
export function runsFrame(firstPosition: number, runs: readonly RunOfMessages[]): Uint8Array {
  const segment = blockOf(runs.flatMap(({ messages }) => messages));
  let firstIndex = 0;
  const encoded = runs.map(({ messages, ...run }) => {
    const messageCount = messages.length;
    const throughSequence = run.firstSequence + messageCount - 1;
    const place = { firstIndex, firstPosition: firstPosition + firstIndex };
    firstIndex += messageCount;
    return { ...run, ...place, messageCount, throughSequence, segment };
  });
  return joined(encodeRuns(encoded));
}

/** `messages` as the archive holds them in memory. */
function blockOf(messages: RunOfMessages['messages']): MessageBlock {
  const builder = new SegmentBuilder();
  const publishedAtUs = new Float64Array(messages.length);
  const payloadStarts = new Uint32Array(messages.length);
  const payloadEnds = new Uint32Array(messages.length);
  let at = 20;
  messages.forEach((message, index) => {
    const { payload } = message;
    builder.append('1' as SessionId, index + 1, payload, 0, payload.length, message.publishedAtUs);
    publishedAtUs[index] = message.publishedAtUs;
    payloadStarts[index] = at + 4;
    at += 4 + payload.length;
    payloadEnds[index] = at;
  });
  const bytes = builder.finish(1).payloadField;
  return { bytes, payloadStarts, payloadEnds, publishedAtUs };
}

/** `pieces`, one after the other. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(pieces));
}

/** What a decoder makes of `stream`, given to it in pieces that end at `cuts`. */
export function decoded(stream: Uint8Array, cuts: readonly number[] = []): StreamEntry[] {
  const decoder = new SegmentStreamDecoder();
  const entries: StreamEntry[] = [];
  const bounds = [...cuts, stream.length].toSorted((one, other) => one - other);
  let start = 0;
  for (const end of bounds) {
    decoder.handleBytes(stream.slice(start, end));
    start = end;
    for (let entry = decoder.pollEntry(); entry !== undefined; entry = decoder.pollEntry()) {
      entries.push(entry);
    }
  }
  return entries;
}

/** The messages among `entries`, one by one. */
export function messagesAmong(entries: readonly StreamEntry[]): ToldMessage[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'messages') return [];
    const { segment, session, firstIndex, firstPosition, firstSequence } = entry;
    return Array.from({ length: entry.messageCount }, (_, step) => {
      const index = firstIndex + step;
      const { payloadStarts, payloadEnds, publishedAtUs } = segment;
      return {
        position: firstPosition + step,
        session,
        sequence: firstSequence + step,
        publishedAtUs: publishedAtUs[index],
        payload: segment.bytes.slice(payloadStarts[index], payloadEnds[index]),
      };
    });
  });
}
