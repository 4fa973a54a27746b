// Copies what is kept of a day into the tables that are to take its place. Reads and writes in
// small statements, each a transaction of its own: while nobody else rewrites the same day, its rows
// never change, and new ones of a channel have higher positions. So a channel is copied through the
// last position that it has now, and whoever puts the copy in place looks for one behind it.

import { sql } from 'kysely';
import { BackcastError } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { dayBounds, freshName } from './fresh-partition.ts';
import { PARTITIONED_TABLES } from './partitions.ts';

/** What a copy has left out of one channel. */
export interface DroppedPositions {
  readonly channelId: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly messageCount: number;
}

/** What is copied, and where from. */
export interface PartitionSource {
  readonly database: ArchiveDatabase;
  /** Any instant of the day. */
  readonly wallMs: number;
  /** The table to read: the day's partition, or the DEFAULT partition. */
  readonly segments: string;
}

/** What is copied of a channel: the segments that begin through `lastFirst` and reach `keepFrom`. */
export interface ChannelRange {
  readonly channelId: number;
  readonly lastFirst: number;
  readonly keepFrom: number;
}

/** The columns of a segment; named, so that their order in a table does not matter. */
const SEGMENT_COLUMNS = sql.raw(
  'first_position, archived_at, min_published_at, max_published_at, payload_bytes, channel_id, ' +
    'message_count, run_session, run_first, run_length, published_at, payload, run_last, ' +
    'run_archived_at',
);
/** Rows copied by one statement: some tens of megabytes where segments are full. */
const CHUNK_SEGMENTS = 64;

/** The channels with rows in the partition `segments`, and where the last segment of each begins. */
export async function channelsIn(
  database: ArchiveDatabase,
  segments: string,
): Promise<Map<number, number>> {
  const from = sql.table(segments);
  const found = await sql<{ channelId: number; lastFirst: number }>`
    WITH RECURSIVE channel AS (
      SELECT min(channel_id) AS id FROM ${from}
      UNION ALL
      SELECT (SELECT min(channel_id) FROM ${from} WHERE channel_id > channel.id)
      FROM channel WHERE channel.id IS NOT NULL)
    SELECT id AS "channelId",
           (SELECT max(first_position) FROM ${from} WHERE channel_id = id) AS "lastFirst"
    FROM channel WHERE id IS NOT NULL`.execute(database);
  return new Map(found.rows.map((row) => [row.channelId, row.lastFirst]));
}

/**
 * Copies a channel, instead of what was copied of it before, and returns what was left out; nothing
 * is undefined. The copy is compared with the source: BACKCAST_DATABASE_REFUSED if they differ.
 */
export async function fillChannel(
  source: PartitionSource,
  range: ChannelRange,
): Promise<DroppedPositions | undefined> {
  await clearChannel(source, range.channelId);
  let after: number | undefined = -1;
  while (after !== undefined) after = await copyChunk(source, range, after);
  await indexChannel(source, range.channelId);
  return compare(source, range);
}

async function clearChannel({ database, wallMs }: PartitionSource, id: number): Promise<void> {
  for (const table of PARTITIONED_TABLES) {
    await sql`DELETE FROM ${sql.table(freshName(table, wallMs))} WHERE channel_id = ${id}`.execute(
      database,
    );
  }
}

function whereSource({ wallMs }: PartitionSource, { channelId, lastFirst }: ChannelRange) {
  const { from, to } = dayBounds(wallMs);
  return sql`channel_id = ${channelId} AND first_position <= ${lastFirst}
    AND archived_at >= ${from}::timestamptz AND archived_at < ${to}::timestamptz`;
}

/** Copies the next segments that begin after `after`; returns where the last of them begins. */
async function copyChunk(
  source: PartitionSource,
  range: ChannelRange,
  after: number,
): Promise<number | undefined> {
  const from = sql.table(source.segments);
  const found = await sql<{ through: number | null }>`
    SELECT max(first_position) AS through FROM (
      SELECT first_position FROM ${from}
      WHERE ${whereSource(source, range)} AND first_position > ${after}
      ORDER BY first_position LIMIT ${CHUNK_SEGMENTS}) AS chunk`.execute(source.database);
  const through = found.rows[0].through ?? undefined;
  if (through === undefined) return undefined;
  await sql`
    INSERT INTO ${sql.table(freshName('segments', source.wallMs))} (${SEGMENT_COLUMNS})
    SELECT ${SEGMENT_COLUMNS} FROM ${from}
    WHERE ${whereSource(source, range)}
      AND first_position > ${after} AND first_position <= ${through}
      AND first_position + message_count > ${range.keepFrom}
    ORDER BY first_position`.execute(source.database);
  return through;
}

/** Makes the index rows from the runs themselves. */
async function indexChannel({ database, wallMs }: PartitionSource, id: number): Promise<void> {
  await sql`
    INSERT INTO ${sql.table(freshName('segment_sessions', wallMs))}
      (session_id, first_sequence, last_sequence, first_position, archived_at, channel_id)
    SELECT run.session_id, min(run.first_sequence),
           max(coalesce(run.last_sequence, run.first_sequence + run.length - 1)),
           segment.first_position, segment.archived_at, segment.channel_id
    FROM ${sql.table(freshName('segments', wallMs))} segment,
         unnest(segment.run_session, segment.run_first, segment.run_length, segment.run_last)
           AS run (session_id, first_sequence, length, last_sequence)
    WHERE segment.channel_id = ${id}
    GROUP BY run.session_id, segment.first_position, segment.archived_at, segment.channel_id`.execute(
    database,
  );
}

interface Totals {
  readonly messages: number;
  readonly payloadBytes: number;
  readonly droppedMessages: number;
  readonly first: number | null;
  readonly last: number | null;
}

async function compare(
  source: PartitionSource,
  range: ChannelRange,
): Promise<DroppedPositions | undefined> {
  const { channelId, keepFrom } = range;
  const count = async (table: string): Promise<Totals> => {
    const isKept = sql`first_position + message_count > ${keepFrom}`;
    const found = await sql<Totals>`
      SELECT coalesce(sum(message_count) FILTER (WHERE ${isKept}), 0)::bigint AS messages,
             coalesce(sum(payload_bytes) FILTER (WHERE ${isKept}), 0)::bigint AS "payloadBytes",
             coalesce(sum(message_count) FILTER (WHERE NOT ${isKept}), 0)::bigint
               AS "droppedMessages",
             min(first_position) FILTER (WHERE NOT ${isKept}) AS first,
             max(first_position + message_count - 1) FILTER (WHERE NOT ${isKept}) AS last
      FROM ${sql.table(table)} WHERE ${whereSource(source, range)}`.execute(source.database);
    return found.rows[0];
  };
  const stored = await count(source.segments);
  const copied = await count(freshName('segments', source.wallMs));
  if (stored.messages !== copied.messages || stored.payloadBytes !== copied.payloadBytes) {
    const message =
      `rewriting ${source.segments} copied ${copied.messages} messages of channel ${channelId} ` +
      `where it holds ${stored.messages}; it stays as it is. Run backcast audit.`;
    throw new BackcastError('BACKCAST_DATABASE_REFUSED', message);
  }
  if (stored.first === null || stored.last === null) return undefined;
  return {
    channelId,
    firstPosition: stored.first,
    lastPosition: stored.last,
    messageCount: stored.droppedMessages,
  };
}
