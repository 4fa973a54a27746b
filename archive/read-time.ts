// Where an interval of publish times lies among the positions, and whether anything may still come
// into it. Positions are in order of arrival at the archiver and publishers have their own clocks,
// so an interval of publish times is not a range of positions; but it lies within one.

import { sql } from 'kysely';
import { SEGMENT_MESSAGES_MAX, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { type Channel, listUnsettledSessions } from './read.ts';
import { archivedInterval, type PartitionBounds, partitionWindow } from './read-partitions.ts';
import { archivedAtOf, lastMessageOf } from './read-place.ts';
import { SessionIndex } from './read-session-index.ts';
import { instantValue, rowsOf } from './read-sql.ts';

/** Half-open interval of publish times in microseconds since 1970. */
export interface PublishedInterval {
  readonly startUs: number;
  readonly endUs: number;
}

/**
 * The positions from the first message that was not published before the interval to the last one
 * that was not published after it. Everything before was published before it, everything after was
 * published after it. If nothing lies in the interval, `last` < `first`, and what is lost in
 * between lies after the positions `last` to `first` − 1.
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
    first = await messageEdge(db, channelId, partition, published, 'asc');
    if (first !== undefined) break;
  }
  let last: number | undefined;
  for (const partition of partitions.toReversed()) {
    if (partition.minPublishedAtUs >= published.endUs) continue;
    last = await messageEdge(db, channelId, partition, published, 'desc');
    if (last !== undefined) break;
  }
  const before = (partitions[0]?.firstPosition ?? archivedThrough + 1) - 1;
  return {
    first: Math.min(first ?? archivedThrough + 1, archivedThrough + 1),
    last: Math.min(last ?? before, archivedThrough),
  };
}

/** Of a day the first message not before the interval ('asc'), or the last not behind ('desc'). */
async function messageEdge(
  db: ArchiveDatabase,
  channelId: number,
  partition: PartitionBounds,
  published: PublishedInterval,
  order: 'asc' | 'desc',
): Promise<number | undefined> {
  const { startUs, endUs } = archivedInterval([partition]);
  const earliest = partition.firstPosition - SEGMENT_MESSAGES_MAX;
  const isReached = {
    asc: (instant: string) => sql`${sql.ref(instant)} >= ${instantValue(published.startUs)}`,
    desc: (instant: string) => sql`${sql.ref(instant)} < ${instantValue(published.endUs)}`,
  }[order];
  const extreme = order === 'asc' ? 'max_published_at' : 'min_published_at';
  const rows = await rowsOf(
    sql<{ position: number | null }>`
    SELECT segment.first_position - 1 + (
             SELECT ${sql.raw(order === 'asc' ? 'min' : 'max')}(message.ordinal)
             FROM unnest(segment.published_at) WITH ORDINALITY AS message (published_at, ordinal)
             WHERE ${isReached('message.published_at')}) AS position
    FROM (
      SELECT first_position, published_at FROM segments
      WHERE channel_id = ${channelId}
        AND archived_at >= ${instantValue(startUs)} AND archived_at < ${instantValue(endUs)}
        AND first_position BETWEEN ${earliest} AND ${partition.lastPosition}
        AND ${isReached(extreme)}
      ORDER BY first_position ${sql.raw(order)} LIMIT 1) AS segment`.execute(db),
  );
  return rows.at(0)?.position ?? undefined;
}

/** When the message at `position` was archived; infinite if none is. */
export async function archivedAtUs(
  db: ArchiveDatabase,
  channel: Channel,
  partitions: readonly PartitionBounds[],
  position: number,
): Promise<number> {
  const window = partitionWindow(partitions, { first: position, last: position }, 'asc');
  if (window === undefined) return Number.POSITIVE_INFINITY;
  return archivedAtOf(db, channel.channelId, position, window.archived);
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
    const message = await lastMessageOf(db, channel.channelId, session.session, last);
    if (message === undefined || message.publishedAtUs < endUs) return true;
  }
  return false;
}
