// Which partitions a read must touch. Tables are cut into days by `archived_at`, positions are not:
// the small map `partition_bounds` says which positions and publish times lie in which day. Without
// it, every lookup would open every day that is kept. Pure, but for the query that loads the map.

import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedInterval } from './read-segments.ts';
import { rowsOf } from './read-sql.ts';

const DAY_US = 86_400_000_000;

/** One day of a channel: what lies in it. */
export interface PartitionBounds {
  readonly startUs: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
}

/** The days in which the next positions lie, and how far the answer from them is whole. */
export interface PartitionWindow {
  readonly archived: ArchivedInterval;
  readonly positions: SequenceRange;
}

/**
 * Every day of the channel that holds something, by first position. At most one row per day kept.
 */
export function loadPartitionBounds(
  db: ArchiveDatabase,
  channelId: number,
): Promise<PartitionBounds[]> {
  return rowsOf(
    db
      .selectFrom('partition_bounds')
      .where('channel_id', '=', channelId)
      .select([
        'partition_start as startUs',
        'first_position as firstPosition',
        'last_position as lastPosition',
        'min_published_at as minPublishedAtUs',
        'max_published_at as maxPublishedAtUs',
      ])
      .orderBy('first_position')
      .execute(),
  );
}

/** The interval of `archived_at` that the days in `partitions` cover. */
export function archivedInterval(partitions: readonly PartitionBounds[]): ArchivedInterval {
  const starts = partitions.map((partition) => partition.startUs);
  return { startUs: Math.min(...starts), endUs: Math.max(...starts) + DAY_US };
}

/**
 * The days that hold the end of `positions` where reading goes on: its first for 'asc', its last
 * for 'desc'. The window's positions reach to where another day begins. Undefined if no day holds
 * that position; `nextStored` says where the next one is that does.
 */
export function partitionWindow(
  partitions: readonly PartitionBounds[],
  positions: SequenceRange,
  order: 'asc' | 'desc',
): PartitionWindow | undefined {
  const cursor = order === 'asc' ? positions.first : positions.last;
  const holding = partitions.filter(
    (partition) => partition.firstPosition <= cursor && partition.lastPosition >= cursor,
  );
  if (holding.length === 0) return undefined;
  const archived = archivedInterval(holding);
  const { first, last } = positions;
  if (order === 'asc') {
    const others = partitions.map((partition) => partition.firstPosition);
    return { archived, positions: { first, last: Math.min(last, below(others, cursor)) } };
  }
  const others = partitions.map((partition) => partition.lastPosition);
  return { archived, positions: { first: Math.max(first, above(others, cursor)), last } };
}

/** The position nearest to the end of `positions` where reading goes on that lies in some day. */
export function nextStored(
  partitions: readonly PartitionBounds[],
  positions: SequenceRange,
  order: 'asc' | 'desc',
): number | undefined {
  const starts = partitions.map((partition) => partition.firstPosition);
  const ends = partitions.map((partition) => partition.lastPosition);
  const next =
    order === 'asc'
      ? Math.min(...starts.filter((start) => start >= positions.first))
      : Math.max(...ends.filter((end) => end <= positions.last));
  return next >= positions.first && next <= positions.last ? next : undefined;
}

function below(firsts: readonly number[], cursor: number): number {
  return Math.min(...firsts.filter((first) => first > cursor)) - 1;
}

function above(lasts: readonly number[], cursor: number): number {
  return Math.max(...lasts.filter((last) => last < cursor)) + 1;
}
