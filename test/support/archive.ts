// Builds what tests archive: channels with a lease, segments from lists of messages, whole batches
// that account for every sequence, and the way back from a database to the list of messages.

import { acquireLease, Appender, ensureChannel, headAfter, openDatabase } from '#archive/mod.ts';
import type { ArchiveBatch, OpenDatabase, SessionProgress } from '#archive/mod.ts';
import { SegmentBuilder } from '#archive/segment/mod.ts';
import type { Segment } from '#archive/segment/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { MessageReader } from './message-reader.ts';

/** One message as tests write and compare it. */
export interface TestMessage {
  readonly session: SessionId;
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly publishedAtUs: number;
}

/** A message with the position it was given. */
export interface PlacedMessage extends TestMessage {
  readonly position: number;
}

/** Two sessions, the second the largest number there is. */
export const SESSION_A = '0000000000000a01' as SessionId;
/** The other one. */
export const SESSION_B = '7fffffffffffffff' as SessionId;
/** 2026-11-22T10:13:20.123457Z */
export const PUBLISHED_AT_US = 1_795_342_400_123_457;
/** Where a loss of a source of ours lies among the packets. */
export const LOSS_PACKETS = { firstSqn: 2 ** 32 + 3, nextSqn: 2 ** 32 + 9, packetCount: null };

/** A pool on `url` with settings fit for a test. */
export function openTestDatabase(url: string): OpenDatabase {
  return openDatabase({
    url,
    poolConnectionsMax: 4,
    applicationName: 'test',
    statementTimeoutMs: 20_000,
  });
}

/** An appender on `url`. */
export function testAppender(url: string): Appender {
  return new Appender({ url, applicationName: 'test appender', holder: 'test' });
}

/** Makes a channel and takes its lease. */
export async function makeChannel(
  opened: OpenDatabase,
  name: string,
): Promise<{ readonly channelId: number; readonly epoch: number }> {
  const address = { group: '239.1.2.3', port: 7_500, dport: 7_501, framing: 'native' } as const;
  const channelId = await ensureChannel(opened.database, name, address);
  const lease = await acquireLease(opened.database, channelId, 'test', 60_000);
  if (lease.outcome !== 'acquired') throw new Error(`the lease of ${name} is held`);
  return { channelId, epoch: lease.epoch };
}

/** `count` messages of a session from `firstSequence`, each with a payload of its own. */
export function messagesOf(
  session: SessionId,
  firstSequence: number,
  count: number,
): TestMessage[] {
  return Array.from({ length: count }, (_, index) => ({
    session,
    sequence: firstSequence + index,
    payload: Buffer.from(`${session}/${firstSequence + index}`),
    publishedAtUs: PUBLISHED_AT_US + index,
  }));
}

/** One segment of `messages`, by a builder of its own. */
export function segmentOf(firstPosition: number, messages: readonly TestMessage[]): Segment {
  const builder = new SegmentBuilder();
  for (const { session, sequence, payload, publishedAtUs } of messages) {
    builder.append(session, sequence, payload, 0, payload.length, publishedAtUs);
  }
  return builder.finish(firstPosition);
}

/**
 * A batch of one segment per list, with the progress of the sessions in it: complete from the first
 * on.
 */
export function batchOf(
  place: { readonly channelId: number; readonly epoch: number; readonly expectedHead: number },
  ...lists: readonly (readonly TestMessage[])[]
): ArchiveBatch {
  const segments: Segment[] = [];
  let firstPosition = place.expectedHead + 1;
  for (const list of lists) {
    segments.push(segmentOf(firstPosition, list));
    firstPosition += list.length;
  }
  const sessions = progressOf(lists.flat());
  return { ...place, segments, sessions, losses: [], heals: [], conflicts: [] };
}

/** The sessions of `messages`, archived from sequence 1 through their last message. */
export function progressOf(messages: readonly TestMessage[]): SessionProgress[] {
  const last = new Map(messages.map((message) => [message.session, message.sequence]));
  return [...last].map(([session, sequence]) => ({
    session,
    source: `source of ${session}`,
    tsi: '0a0b0c0d0e0f.7500',
    isForeign: false,
    state: 'open',
    firstArchived: 1,
    watermark: sequence,
    lead: sequence,
    resumeSqn: sequence,
  }));
}

/** Appends the lists as one batch on a connection of its own; returns the new head. */
export async function archiveMessages(
  url: string,
  place: { readonly channelId: number; readonly epoch: number; readonly expectedHead: number },
  ...lists: readonly (readonly TestMessage[])[]
): Promise<number> {
  await using appender = testAppender(url);
  const batch = batchOf(place, ...lists);
  const result = await appender.append(batch);
  if (result.outcome !== 'committed') throw new Error('the batch was fenced');
  return headAfter(batch);
}

/** The messages of `segment`, copied out. */
export function readSegment(segment: Segment): PlacedMessage[] {
  const reader = new MessageReader();
  reader.open(segment);
  const messages: PlacedMessage[] = [];
  while (reader.next()) {
    messages.push({
      position: reader.position,
      session: reader.session,
      sequence: reader.sequence,
      payload: Buffer.from(reader.bytes.subarray(reader.payloadStart, reader.payloadEnd)),
      publishedAtUs: reader.publishedAtUs,
    });
  }
  return messages;
}
