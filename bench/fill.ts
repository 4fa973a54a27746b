// Fills an archive, so that what is measured next is measured against something: segments are built
// and appended as fast as two connections take them.

import {
  type ArchiveDatabase,
  acquireLease,
  Appender,
  ensureChannel,
  headAfter,
} from '#archive/mod.ts';
import type { ArchiveBatch } from '#archive/mod.ts';
import { SegmentBuilder } from '#archive/segment/mod.ts';
import { assert, sessionFromWords, type SessionId } from '#base/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import { benchmarkAddress } from './machine.ts';
import { samplePayloads } from './sample-payloads.ts';

/** What to store. */
export interface FillOptions {
  readonly databaseUrl: string;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch. */
  readonly onProgress: (stored: number) => void;
}

const HOLDER = 'bench';
const LANES = 2;
const SEGMENTS_PER_BATCH = 16;
const LEASE_MS = 600_000;

/** Stores `messages` more, in channels of their own, and gives them back. */
export async function fillArchive(database: ArchiveDatabase, options: FillOptions): Promise<void> {
  let stored = 0;
  const isDone = (): boolean => stored >= options.messages || options.signal?.aborted === true;
  const took = (messages: number): void => {
    stored += messages;
    options.onProgress(stored);
  };
  const lanes = Array.from({ length: LANES }, (_, lane) => {
    return fillChannel(database, options, `bench-stored-${Date.now()}-${lane}`, isDone, took);
  });
  await Promise.all(lanes);
  options.signal?.throwIfAborted();
}

async function fillChannel(
  database: ArchiveDatabase,
  options: FillOptions,
  name: string,
  isDone: () => boolean,
  took: (messages: number) => void,
): Promise<void> {
  const channelId = await ensureChannel(database, name, benchmarkAddress());
  const lease = await acquireLease(database, channelId, HOLDER, LEASE_MS);
  assert(lease.outcome === 'acquired', 'a new channel is written by nobody');
  const session = sessionFromWords(7, channelId);
  const builders = Array.from({ length: SEGMENTS_PER_BATCH }, () => new SegmentBuilder());
  const payloads = samplePayloads(options.payloadBytes);
  const url = options.databaseUrl;
  await using appender = new Appender({ url, applicationName: 'backcast bench', holder: HOLDER });
  for (let head = lease.head; !isDone(); ) {
    const place = { channelId, epoch: lease.epoch, expectedHead: head };
    const batch = buildBatch(place, session, builders, payloads);
    const { outcome } = await appender.append(batch);
    assert(outcome === 'committed', 'nobody else writes the channel');
    took(headAfter(batch) - head);
    head = headAfter(batch);
  }
}

function buildBatch(
  place: Pick<ArchiveBatch, 'channelId' | 'epoch' | 'expectedHead'>,
  session: SessionId,
  builders: readonly SegmentBuilder[],
  payloads: readonly Uint8Array[],
): ArchiveBatch {
  let position = place.expectedHead + 1;
  const segments = builders.map((builder) => {
    builder.reset();
    const first = position;
    for (; !builder.isFull; position += 1) {
      const payload = payloads[position % payloads.length];
      builder.append(session, position, payload, 0, payload.length, wallClockUs());
    }
    return builder.finish(first);
  });
  const last = position - 1;
  const progress = {
    session,
    source: 'bench',
    tsi: 'bench',
    isForeign: false,
    state: 'open',
    firstArchived: 1,
    watermark: last,
    lead: last,
    resumeSqn: 0,
  } as const;
  return { ...place, segments, sessions: [progress], losses: [], heals: [], conflicts: [] };
}
