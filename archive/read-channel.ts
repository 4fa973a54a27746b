// Looks at one channel for those who read its messages: where it ends, which days hold what, and by
// what they can tell later that it is still so. One statement, so that all of it is of one moment.

import { type RawBuilder, sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import {
  type Channel,
  type ChannelPlace,
  findPlace,
  NOTHING_ARCHIVED,
  unknownChannel,
} from './read.ts';
import type { PartitionBounds } from './read-partitions.ts';
import { rowsOf } from './read-sql.ts';
import type { ReadDatabase } from './shared-reads.ts';

/** What was found beside the head. Two moments with the same text are alike in what it is about. */
export interface ChannelMoment {
  /** Every day that holds something, by first position. */
  readonly days: readonly PartitionBounds[];
  /** The lowest position through which a deletion reaches; null if nothing was deleted. */
  readonly deletedFrom: number | null;
  /**
   * About what lies before the head: changes with a deletion and with a heal, not with what is
   * archived behind it.
   */
  readonly past: string;
  /** About everything: changes with every commit as well. */
  readonly present: string;
}

/** A channel as one look found it. */
export interface ChannelNow extends Channel {
  readonly moment: ChannelMoment;
}

/**
 * The channel called `name`, as it is now; BACKCAST_CHANNEL_UNKNOWN if there is none. Many who open
 * it one after the other ask for its number and framing once: neither changes once something is
 * archived.
 */
export async function openChannel(opened: ReadDatabase, name: string): Promise<ChannelNow> {
  const { database, shared } = opened;
  if (shared !== undefined) {
    const known = await findPlace(shared.settled('channels'), name);
    const channel = known === undefined ? undefined : await withMoment(database, known);
    if (channel !== undefined && channel.archivedThrough > 0) return channel;
  }
  const place = await findPlace(database, name);
  if (place === undefined) throw unknownChannel(name);
  return withMoment(database, place);
}

/** `channel` as it is now. */
export function lookAgain(opened: ReadDatabase, channel: Channel): Promise<ChannelNow> {
  return withMoment(opened.database, channel);
}

interface FoundRow {
  readonly archivedThrough: number;
  readonly epoch: number;
  readonly commits: number;
  readonly deletedFrom: number | null;
  readonly deletedThrough: number | null;
  readonly healedThrough: number | null;
  /** Null in all of its columns where nothing is kept. */
  readonly startUs: number | null;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
}

async function withMoment(db: ArchiveDatabase, place: ChannelPlace): Promise<ChannelNow> {
  const rows = await rowsOf(selectMoment(place.channelId).execute(db));
  const [lease] = rows;
  if (lease === undefined) {
    const moment = { days: [], deletedFrom: null, past: '', present: '' };
    return { ...place, ...NOTHING_ARCHIVED, moment };
  }
  const days = rows.flatMap((row) => (row.startUs === null ? [] : [toDay(row, row.startUs)]));
  const { archivedThrough, deletedFrom, deletedThrough, healedThrough, epoch, commits } = lease;
  const kept = days.map(({ startUs, firstPosition }) => `${startUs}/${firstPosition}`);
  const past = `${place.channelId} ${healedThrough ?? 0} ${deletedThrough ?? 0} ${kept.join(' ')}`;
  return {
    ...place,
    archivedThrough,
    firstPosition: days[0]?.firstPosition ?? null,
    firstAvailable: 1 + (deletedThrough ?? 0),
    publishedFromUs: lowest(days.map(({ minPublishedAtUs }) => minPublishedAtUs)),
    publishedThroughUs: highest(days.map(({ maxPublishedAtUs }) => maxPublishedAtUs)),
    moment: { days, deletedFrom, past, present: `${past} ${epoch} ${archivedThrough} ${commits}` },
  };
}

/** A row for each day, or one without; what is not of a day stands in all of them. */
function selectMoment(channelId: number): RawBuilder<FoundRow> {
  const deletions = sql`FROM deletions WHERE channel_id = ${channelId}`;
  return sql<FoundRow>`
    SELECT head AS "archivedThrough", epoch, commits,
      (SELECT min(last_position) ${deletions}) AS "deletedFrom",
      (SELECT max(last_position) ${deletions}) AS "deletedThrough",
      (SELECT max(healed_position) FROM losses WHERE channel_id = ${channelId}) AS "healedThrough",
      partition_start AS "startUs",
      first_position AS "firstPosition", last_position AS "lastPosition",
      min_published_at AS "minPublishedAtUs", max_published_at AS "maxPublishedAtUs"
    FROM leases LEFT JOIN partition_bounds ON partition_bounds.channel_id = leases.channel_id
    WHERE leases.channel_id = ${channelId}
    ORDER BY first_position`;
}

function toDay(row: FoundRow, startUs: number): PartitionBounds {
  const { firstPosition, lastPosition, minPublishedAtUs, maxPublishedAtUs } = row;
  return { startUs, firstPosition, lastPosition, minPublishedAtUs, maxPublishedAtUs };
}

function lowest(instants: readonly number[]): number | null {
  return instants.length === 0 ? null : Math.min(...instants);
}

function highest(instants: readonly number[]): number | null {
  return instants.length === 0 ? null : Math.max(...instants);
}
