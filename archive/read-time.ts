// Where an interval of publish times lies among the positions, and whether anything may still come
// into it. Positions are in order of arrival at the archiver and publishers have their own clocks,
// so an interval of publish times is not a range of positions; but it lies within one.

import { type RawBuilder, sql } from 'kysely';
import { SEGMENT_MESSAGES_MAX, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { type Channel, listUnsettledSessions } from './read.ts';
import { archivedInterval, type PartitionBounds, partitionWindow } from './read-partitions.ts';
import { type IndexEntry, SessionIndex } from './read-session-index.ts';
import { instantValue, rowsOf } from './read-sql.ts';

/** Half-open interval of publish times in microseconds since 1970. */
export interface PublishedInterval {
  readonly startUs: number;
  readonly endUs: number;
}

/**
 * The positions from the first segment that reaches into the interval to the last one. Everything
 * before was published before it, everything after was published after it. If nothing lies in the
 * interval, `last` < `first`, and what is lost in between lies after the positions `last` to
 * `first` − 1.
 */
export async function positionsOfInterval(
  db: ArchiveDatabase,
  channelId: number,
  partitions: readonly PartitionBounds[],
  archivedThrough: number,
  published: PublishedInterval,
): Promise<SequenceRange> {
  let first: number | undefined;
  for (const partition of partitions) {
    if (partition.maxPublishedAtUs < published.startUs) continue;
    const reaches = sql`max_published_at >= ${instantValue(published.startUs)}`;
    first = (await segmentEdge(db, channelId, partition, reaches, 'asc'))?.first;
    if (first !== undefined) break;
  }
  let last: number | undefined;
  for (const partition of partitions.toReversed()) {
    if (partition.minPublishedAtUs >= published.endUs) continue;
    const reaches = sql`min_published_at < ${instantValue(published.endUs)}`;
    last = (await segmentEdge(db, channelId, partition, reaches, 'desc'))?.last;
    if (last !== undefined) break;
  }
  const before = (partitions[0]?.firstPosition ?? archivedThrough + 1) - 1;
  return {
    first: Math.min(first ?? archivedThrough + 1, archivedThrough + 1),
    last: Math.min(last ?? before, archivedThrough),
  };
}

async function segmentEdge(
  db: ArchiveDatabase,
  channelId: number,
  partition: PartitionBounds,
  reaches: RawBuilder<unknown>,
  order: 'asc' | 'desc',
): Promise<SequenceRange | undefined> {
  const { startUs, endUs } = archivedInterval([partition]);
  const earliest = partition.firstPosition - SEGMENT_MESSAGES_MAX;
  const rows = await rowsOf(
    sql<SequenceRange>`
    SELECT first_position AS first, first_position + message_count - 1 AS last FROM segments
    WHERE channel_id = ${channelId}
      AND archived_at >= ${instantValue(startUs)} AND archived_at < ${instantValue(endUs)}
      AND first_position BETWEEN ${earliest} AND ${partition.lastPosition} AND ${reaches}
    ORDER BY first_position ${sql.raw(order)} LIMIT 1`.execute(db),
  );
  return rows.at(0);
}

/** When the segment that begins at `position` was archived; infinite if none does. */
export async function archivedAtUs(
  db: ArchiveDatabase,
  channel: Channel,
  partitions: readonly PartitionBounds[],
  position: number,
): Promise<number> {
  const window = partitionWindow(partitions, { first: position, last: position }, 'asc');
  if (window === undefined) return Number.POSITIVE_INFINITY;
  const { startUs, endUs } = window.archived;
  const rows = await rowsOf(
    db
      .selectFrom('segments')
      .where('channel_id', '=', channel.channelId)
      .where('first_position', '=', position)
      .where(sql<boolean>`archived_at >= ${instantValue(startUs)}`)
      .where(sql<boolean>`archived_at < ${instantValue(endUs)}`)
      .select('archived_at')
      .execute(),
  );
  return rows.at(0)?.archived_at ?? Number.POSITIVE_INFINITY;
}

/** Sessions that are looked at one by one; where there are more, the answer is to ask again. */
const UNSETTLED_SESSIONS_MAX = 32;

/**
 * Whether messages published before `endUs` may still come: `endUs` lies in the future, or a
 * session that is open has not been heard since, or has messages outstanding that may be older. A
 * publisher that the archive has never heard of cannot be counted in.
 */
export async function mayStillReceive(
  db: ArchiveDatabase,
  channel: Channel,
  partitions: readonly PartitionBounds[],
  endUs: number,
): Promise<boolean> {
  const future = sql<{ isFuture: boolean }>`SELECT now() < ${instantValue(endUs)} AS "isFuture"`;
  const [{ isFuture }] = await rowsOf(future.execute(db));
  if (isFuture) return true;
  const limit = UNSETTLED_SESSIONS_MAX + 1;
  const sessions = await listUnsettledSessions(db, channel, endUs, limit);
  if (sessions.length === limit) return true;
  for (const session of sessions) {
    const index = new SessionIndex({ db, channelId: channel.channelId, session, partitions });
    const last = await index.last();
    if (last === undefined) return true;
    if ((await publishedThroughUs(db, channel, last)) < endUs) return true;
  }
  return false;
}

/** The latest publish time in the segment of `entry`; before all time if the segment is gone. */
async function publishedThroughUs(
  db: ArchiveDatabase,
  channel: Channel,
  entry: IndexEntry,
): Promise<number> {
  const rows = await rowsOf(
    db
      .selectFrom('segments')
      .where('channel_id', '=', channel.channelId)
      .where('first_position', '=', entry.firstPosition)
      .where(sql<boolean>`archived_at = ${instantValue(entry.archivedAtUs)}`)
      .select('max_published_at')
      .execute(),
  );
  return rows.at(0)?.max_published_at ?? Number.NEGATIVE_INFINITY;
}
