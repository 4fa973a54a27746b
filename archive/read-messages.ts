// Begins a reading of messages: settles what the answer covers before its first page. The head of
// the channel is read first, and nothing beyond it is served, so that an answer never runs ahead of
// the losses and watermarks that belong to it.

import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession, Channel } from './read.ts';
import { findSession } from './read.ts';
import { isByArchiveTime, openArchived } from './read-archived.ts';
import { type PositionPlan, PositionReading, type SettledLosses } from './read-by-position.ts';
import { type SequencePlan, SequenceReading } from './read-by-sequence.ts';
import type { ChannelMoment, ChannelNow } from './read-channel.ts';
import { deletionsByTime, isDeletedBefore } from './read-deletions.ts';
import type { Deletion, Loss } from './read-entries.ts';
import { lossesByTime } from './read-losses-by-time.ts';
import {
  assertNotRewound,
  historyGone,
  type MessageReading,
  type MessageRequest,
  type PositionRequest,
  type SequenceRequest,
  type Unsettled,
} from './read-page.ts';
import { loadPartitionBounds, type PartitionBounds } from './read-partitions.ts';
import { INSTANT_US_MAX, INSTANT_US_MIN } from './read-sql.ts';
import {
  archivedAtUs,
  mayStillReceive,
  positionsOfInterval,
  type PublishedInterval,
} from './read-time.ts';
import { directSegments, type SegmentSource } from './segment-source.ts';
import { beyondWatermark } from './session-tail.ts';
import type { ReadDatabase } from './shared-reads.ts';

/** A channel to read from; what a look at it has just found is not looked up again. */
export type ReadChannel = Channel & Partial<Pick<ChannelNow, 'moment'>>;

/**
 * Begins to read what `request` asks for from `channel`, as openChannel, lookAgain or findChannel
 * has just returned it.
 * BACKCAST_SESSION_UNKNOWN if the channel never had the session; BACKCAST_HISTORY_GONE if the
 * answer would begin with messages that are no longer kept; BACKCAST_ARCHIVE_REWOUND if the archive
 * ends before what was seen of it.
 */
export async function openReading(
  opened: ReadDatabase,
  channel: ReadChannel,
  request: MessageRequest,
): Promise<MessageReading> {
  if (request.kind === 'sequences') return openSequences(opened, channel, request);
  assertNotRewound(channel.archivedThrough, request.seenThrough);
  if (isByArchiveTime(request)) {
    const open = (within: PositionRequest): Promise<MessageReading> => {
      return openReading(opened, channel, within);
    };
    return openArchived(opened.database, channel, request, open);
  }
  return new PositionReading(await planPositions(opened, channel, request));
}

/** What a reading of `request` covers. Errors as openReading. */
export function planPositions(
  opened: ReadDatabase,
  channel: ReadChannel,
  request: PositionRequest,
): Promise<PositionPlan> {
  const { publishedFromUs, publishedToUs } = request;
  if (publishedFromUs === undefined && publishedToUs === undefined) {
    return planAll(opened, channel, request);
  }
  return planInterval(opened, channel, request);
}

async function openSequences(
  opened: ReadDatabase,
  channel: ReadChannel,
  request: SequenceRequest,
): Promise<MessageReading> {
  const { database: db } = opened;
  const session = await findSession(db, channel, request.session);
  const partitions = await loadPartitionBounds(db, channel.channelId);
  return new SequenceReading(planSequences(opened, channel, request, { session, partitions }));
}

/** What a reading of `request` covers, by the session and the days as they were just found. */
export function planSequences(
  opened: ReadDatabase,
  channel: Channel,
  request: SequenceRequest,
  { session, partitions }: Pick<SequencePlan, 'session' | 'partitions'>,
): SequencePlan {
  const { watermark } = session;
  const last = request.last ?? watermark;
  const earliest = session.isForeign ? session.firstArchived : 1;
  return {
    db: opened.database,
    source: sourceOf(opened),
    channelId: channel.channelId,
    framing: channel.framing,
    request,
    archivedThrough: channel.archivedThrough,
    sequences: { first: request.first ?? earliest, last: Math.min(last, watermark) },
    session,
    partitions,
    unsettled: last > watermark ? unsettledBehind(session) : undefined,
  };
}

function sourceOf({ pool, shared }: ReadDatabase): SegmentSource {
  return shared?.segments ?? directSegments(pool);
}

function unsettledBehind(session: ArchivedSession): Unsettled | undefined {
  const beyond = beyondWatermark(session);
  if (beyond === 'none') return undefined;
  return { fromSequence: session.watermark + 1, isUnknown: beyond === 'unknown' };
}

async function planAll(
  opened: ReadDatabase,
  channel: ReadChannel,
  request: PositionRequest,
): Promise<PositionPlan> {
  const { database: db } = opened;
  const { channelId, archivedThrough } = channel;
  const partitions = await daysOf(db, channel);
  const kept = await firstAccounted(db, channel, partitions);
  const { after, before } = request;
  if (after !== undefined && after + 1 < kept) {
    throw historyGone(`Messages after position ${after}`, `Kept are those after ${kept - 1}.`);
  }
  const isBeyond = (after ?? 0) > archivedThrough || (before ?? 0) > archivedThrough + 1;
  return {
    db,
    source: sourceOf(opened),
    channelId,
    request,
    archivedThrough,
    positions: boundedPositions(request, { first: kept, last: archivedThrough }),
    partitions,
    published: undefined,
    losses: undefined,
    settled: channel.moment === undefined ? undefined : settledLosses(opened, channel.moment),
    unsettled: isBeyond ? { fromSequence: undefined } : undefined,
  };
}

async function planInterval(
  opened: ReadDatabase,
  channel: ReadChannel,
  request: PositionRequest,
): Promise<PositionPlan> {
  const { database: db } = opened;
  const { channelId, archivedThrough } = channel;
  const published = intervalOf(request);
  const partitions = await daysOf(db, channel);
  const kept = await firstAccounted(db, channel, partitions);
  assertKept(request, partitions, kept);
  const stored = await positionsOfInterval(db, channelId, partitions, archivedThrough, published);
  const everywhere = { first: 1, last: archivedThrough };
  const deleted = await deletionsByTime(db, channelId, everywhere, published);
  const hull = widen(stored, deleted);
  const positions = boundedPositions(request, hull);
  const mayReceive =
    request.publishedToUs !== undefined &&
    (await mayStillReceive(db, channel, partitions, published.endUs));
  const losses = await lossesByTime(db, channel, partitions, {
    startUs: published.startUs,
    ...hull,
    nextArchivedAtUs: await archivedAtUs(db, channel, partitions, hull.last + 1),
  });
  return {
    db,
    source: sourceOf(opened),
    channelId,
    request,
    archivedThrough,
    positions,
    partitions: partitions.filter((partition) => touches(partition, published)),
    published,
    settled: undefined,
    losses: losses.filter((loss) => isBetween(request, loss)),
    unsettled: mayReceive ? { fromSequence: undefined } : undefined,
  };
}

/** Whether `loss` lies where is asked; what lies before was named to who goes on from there. */
function isBetween({ after, before }: PositionRequest, { afterPosition }: Loss): boolean {
  return afterPosition >= (after ?? 0) && (before === undefined || afterPosition < before);
}

function intervalOf(request: PositionRequest): PublishedInterval {
  return {
    startUs: clampInstant(request.publishedFromUs ?? INSTANT_US_MIN),
    endUs: clampInstant(request.publishedToUs ?? INSTANT_US_MAX),
  };
}

function clampInstant(us: number): number {
  return Math.max(INSTANT_US_MIN, Math.min(us, INSTANT_US_MAX));
}

/** Where what the archive answers for begins: with what it has, or with what policies deleted. */
async function firstAccounted(
  db: ArchiveDatabase,
  { channelId, archivedThrough, moment }: ReadChannel,
  partitions: readonly PartitionBounds[],
): Promise<number> {
  const kept = partitions[0]?.firstPosition ?? archivedThrough + 1;
  if (kept <= 1) return kept;
  const isDeleted =
    moment === undefined
      ? await isDeletedBefore(db, channelId, kept)
      : moment.deletedFrom !== null && moment.deletedFrom < kept;
  return isDeleted ? 1 : kept;
}

/** The days that hold something: those that were found with the head, or those of now. */
async function daysOf(
  db: ArchiveDatabase,
  { channelId, moment }: ReadChannel,
): Promise<readonly PartitionBounds[]> {
  return moment?.days ?? loadPartitionBounds(db, channelId);
}

function settledLosses({ shared }: ReadDatabase, moment: ChannelMoment): SettledLosses | undefined {
  if (shared === undefined) return undefined;
  return { past: shared.settled(moment.past), present: shared.settled(moment.present) };
}

/** With the positions of `deletions`. */
function widen(positions: SequenceRange, deletions: readonly Deletion[]): SequenceRange {
  return deletions.reduce(
    ({ first, last }, { firstPosition, lastPosition }) => ({
      first: Math.min(first, firstPosition),
      last: Math.max(last, lastPosition),
    }),
    positions,
  );
}

function assertKept(
  request: PositionRequest,
  partitions: readonly PartitionBounds[],
  first: number,
): void {
  const kept = partitions[0];
  if (kept === undefined || first === 1) return;
  const { after, publishedFromUs } = request;
  if (after !== undefined && after + 1 >= kept.firstPosition) return;
  if (publishedFromUs === undefined || publishedFromUs >= kept.minPublishedAtUs) return;
  throw historyGone(
    'Messages at the beginning of this interval',
    `Kept are those after position ${kept.firstPosition - 1}.`,
  );
}

function touches(partition: PartitionBounds, published: PublishedInterval): boolean {
  return (
    partition.maxPublishedAtUs >= published.startUs && partition.minPublishedAtUs < published.endUs
  );
}

function boundedPositions(request: PositionRequest, within: SequenceRange): SequenceRange {
  const { after, before } = request;
  return {
    first: Math.max(within.first, after === undefined ? within.first : after + 1),
    last: Math.min(within.last, before === undefined ? within.last : before - 1),
  };
}
