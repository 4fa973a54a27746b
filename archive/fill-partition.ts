// Copies a day into the tables that are to take its place. Reads and writes in small statements,
// each a transaction of its own: while nobody else moves rows of the day, those it has never
// change, new ones of a channel have higher positions, and a policy deletes from the lowest on. So
// whoever puts the copy in place need only look where each channel begins and ends now.

import { sql } from 'kysely';
import { BackcastError } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { dayBounds, freshName } from './fresh-partition.ts';
import { PARTITIONED_TABLES, type PartitionedTable } from './partitions.ts';

/** What is copied, and where from. */
export interface PartitionSource {
  readonly database: ArchiveDatabase;
  /** Any instant of the day. */
  readonly wallMs: number;
  /** The tables to read: partitions of a day, or of all days that have none. */
  readonly from: Readonly<Partial<Record<PartitionedTable, string>>>;
}

/** Where the first and the last segment of a channel begin. */
export interface ChannelEnds {
  readonly first: number;
  readonly last: number;
}

/** The columns of the two tables; named, so that their order in a table does not matter. */
const SEGMENT_COLUMNS = sql.raw(
  'first_position, archived_at, min_published_at, max_published_at, payload_bytes, channel_id, ' +
    'message_count, run_session, run_first, run_length, published_at, payload, run_last, ' +
    'run_archived_at',
);
const INDEX_COLUMNS = sql.raw(
  'session_id, first_sequence, last_sequence, first_position, archived_at, channel_id, is_healed',
);
/** Rows copied by one statement: some tens of megabytes where segments are full. */
const CHUNK_SEGMENTS = 64;

/** The channels with rows in `partition`, found by its key. */
export async function channelsIn(
  database: ArchiveDatabase,
  partition: string,
): Promise<Map<number, ChannelEnds>> {
  const from = sql.table(partition);
  const found = await sql<ChannelEnds & { readonly id: number }>`
    WITH RECURSIVE channel AS (
      SELECT min(channel_id) AS id FROM ${from}
      UNION ALL
      SELECT (SELECT min(channel_id) FROM ${from} WHERE channel_id > channel.id)
      FROM channel WHERE channel.id IS NOT NULL)
    SELECT id, (SELECT min(first_position) FROM ${from} WHERE channel_id = id) AS first,
           (SELECT max(first_position) FROM ${from} WHERE channel_id = id) AS last
    FROM channel WHERE id IS NOT NULL`.execute(database);
  return new Map(found.rows.map(({ id, first, last }) => [id, { first, last }]));
}

/** Whether every channel begins and ends where it did. */
export function areEqual(
  then: ReadonlyMap<number, ChannelEnds>,
  now: ReadonlyMap<number, ChannelEnds>,
): boolean {
  return (
    then.size === now.size &&
    [...then].every(([channelId, { first, last }]) => {
      const ends = now.get(channelId);
      return ends?.first === first && ends.last === last;
    })
  );
}

/**
 * Copies what the day has of a channel between `ends`. The copy is counted:
 * BACKCAST_DATABASE_REFUSED if it is not equal.
 */
export async function fillChannel(
  source: PartitionSource,
  channelId: number,
  ends: ChannelEnds,
): Promise<void> {
  const { database, wallMs, from } = source;
  if (from.segments !== undefined) {
    let after: number | undefined = ends.first - 1;
    while (after !== undefined) {
      after = await copyChunk(source, from.segments, channelId, { after, ...ends });
    }
  }
  if (from.segment_sessions !== undefined) {
    await sql`
      INSERT INTO ${sql.table(freshName('segment_sessions', wallMs))} (${INDEX_COLUMNS})
      SELECT ${INDEX_COLUMNS} FROM ${sql.table(from.segment_sessions)}
      WHERE ${whereSource(source, channelId, ends)}
      ORDER BY session_id, first_sequence`.execute(database);
  }
  for (const table of PARTITIONED_TABLES) await assertEqual(source, table, channelId, ends);
}

function whereSource({ wallMs }: PartitionSource, channelId: number, ends: ChannelEnds) {
  const { from, to } = dayBounds(wallMs);
  return sql`channel_id = ${channelId}
    AND first_position BETWEEN ${ends.first} AND ${ends.last}
    AND archived_at >= ${from}::timestamptz AND archived_at < ${to}::timestamptz`;
}

/** Copies the next segments that begin after `after`; returns where the last of them begins. */
async function copyChunk(
  source: PartitionSource,
  segments: string,
  channelId: number,
  { after, ...ends }: ChannelEnds & { readonly after: number },
): Promise<number | undefined> {
  const from = sql.table(segments);
  const rest = { ...ends, first: after + 1 };
  const found = await sql<{ through: number | null }>`
    SELECT max(first_position) AS through FROM (
      SELECT first_position FROM ${from} WHERE ${whereSource(source, channelId, rest)}
      ORDER BY first_position LIMIT ${CHUNK_SEGMENTS}) AS chunk`.execute(source.database);
  const { through } = found.rows[0];
  if (through === null) return undefined;
  await sql`
    INSERT INTO ${sql.table(freshName('segments', source.wallMs))} (${SEGMENT_COLUMNS})
    SELECT ${SEGMENT_COLUMNS} FROM ${from}
    WHERE ${whereSource(source, channelId, { ...rest, last: through })}
    ORDER BY first_position`.execute(source.database);
  return through;
}

const COUNTS = {
  segments: sql.raw('row(count(*), sum(message_count), sum(payload_bytes))::text'),
  segment_sessions: sql.raw('row(count(*), sum(last_sequence - first_sequence))::text'),
};

async function assertEqual(
  source: PartitionSource,
  table: PartitionedTable,
  channelId: number,
  ends: ChannelEnds,
): Promise<void> {
  const from = source.from[table];
  if (from === undefined) return;
  const count = async (name: string): Promise<string> => {
    const found = await sql<{ counts: string }>`
      SELECT ${COUNTS[table]} AS counts FROM ${sql.table(name)}
      WHERE ${whereSource(source, channelId, ends)}`.execute(source.database);
    return found.rows[0].counts;
  };
  const stored = await count(from);
  const copied = await count(freshName(table, source.wallMs));
  if (stored === copied) return;
  const message =
    `the copy of ${from} has ${copied} rows and sums of channel ${channelId} where the table has ` +
    `${stored}. Nothing was changed. Run backcast audit.`;
  throw new BackcastError('BACKCAST_DATABASE_REFUSED', message);
}
