// The statements of a deletion: what goes of a day is noted in `deletions` from the runs of the
// segments themselves, then deleted. Both see the same segments or the transaction is given up, so
// that nothing goes unnoted. Each statement is about one channel, as a distributed PostgreSQL wants
// it; where there are two tables of a day, `segments` comes first, as in an append.

import { type RawBuilder, sql, type Transaction } from 'kysely';
import { assert } from '#base/mod.ts';
import type { ArchiveTables } from './database-types.ts';
import { instantValue } from './read-sql.ts';
import { type ChannelDay, DAY_US, type DueDay } from './retention-plan.ts';

/** Segments of a channel's day: all, or those that begin before `endPosition`. */
export interface DayPart extends Pick<DueDay, 'channelId' | 'startUs' | 'policy'> {
  readonly endPosition: number | undefined;
}

/** What a statement noted or deleted. */
export interface DeletedAmount {
  readonly messages: number;
  readonly bytes: number;
}

/** The condition on segments or their index that says `part`. */
function whereIn({ channelId, startUs, endPosition }: DayPart): RawBuilder<unknown> {
  const position =
    endPosition === undefined ? sql`` : sql` AND first_position < ${endPosition}::bigint`;
  return sql`channel_id = ${channelId} AND archived_at >= ${instantValue(startUs)}
    AND archived_at < ${instantValue(startUs + DAY_US)}${position}`;
}

/**
 * Notes each stretch of `part`: consecutive sequences of a session, among consecutive positions. So
 * the positions from the first to the last of a stretch are all deleted, of this session or others.
 */
export async function noteDeletions(
  transaction: Transaction<ArchiveTables>,
  part: DayPart,
): Promise<number> {
  const { rows } = await sql<{ messages: number }>`
    INSERT INTO deletions
      (channel_id, session_id, first_sequence, last_sequence, first_position, last_position,
       message_count, min_published_at, max_published_at, deleted_at, policy)
    WITH segment AS (
      SELECT *, first_position - sum(message_count) OVER (ORDER BY first_position)
                  + message_count AS island
      FROM segments WHERE ${whereIn(part)}),
    run AS (
      SELECT segment.island, run.session_id, run.first_sequence, run.length,
             coalesce(run.last_sequence, run.first_sequence + run.length - 1) AS last_sequence,
             segment.first_position - run.length + sum(run.length) OVER (
               PARTITION BY segment.first_position ORDER BY run.ordinal) AS first_position,
             segment.min_published_at, segment.max_published_at
      FROM segment,
           unnest(run_session, run_first, run_length, run_last) WITH ORDINALITY
             AS run (session_id, first_sequence, length, last_sequence, ordinal)),
    marked AS (
      SELECT *, (first_sequence IS DISTINCT FROM 1 + lag(last_sequence) OVER of_session)::int
                  AS begins
      FROM run WINDOW of_session AS (PARTITION BY island, session_id ORDER BY first_sequence)),
    stretch AS (
      SELECT *, sum(begins) OVER (PARTITION BY island, session_id ORDER BY first_sequence) AS nth
      FROM marked)
    SELECT ${part.channelId}::int, session_id, min(first_sequence), max(last_sequence),
           min(first_position), max(first_position + length - 1), sum(length),
           min(min_published_at), max(max_published_at), now(), ${part.policy}::text
    FROM stretch GROUP BY island, session_id, nth
    RETURNING message_count AS messages`.execute(transaction);
  return rows.reduce((sum, { messages }) => sum + messages, 0);
}

/** Deletes the rows of `part`, and says how much that was. */
export async function deleteSegments(
  transaction: Transaction<ArchiveTables>,
  part: DayPart,
): Promise<DeletedAmount> {
  const { rows } = await sql<DeletedAmount>`
    WITH gone AS (
      DELETE FROM segments WHERE ${whereIn(part)} RETURNING message_count, payload_bytes)
    SELECT coalesce(sum(message_count), 0)::bigint AS messages,
           coalesce(sum(payload_bytes), 0)::bigint AS bytes FROM gone`.execute(transaction);
  await sql`DELETE FROM segment_sessions WHERE ${whereIn(part)}`.execute(transaction);
  return rows[0];
}

/** What `table`, a partition of `segments`, holds. */
export async function amountIn(
  transaction: Transaction<ArchiveTables>,
  table: string,
): Promise<DeletedAmount> {
  const { rows } = await sql<DeletedAmount>`
    SELECT coalesce(sum(message_count), 0)::bigint AS messages,
           coalesce(sum(payload_bytes), 0)::bigint AS bytes
    FROM ${sql.table(table)}`.execute(transaction);
  return rows[0];
}

/** The limits of one transaction: what a handful of full segments make, and not more at once. */
export interface PartLimits {
  readonly segmentsMax: number;
  readonly bytesMax: number;
}

/**
 * Where the first part of a day within `limits` ends: the first position that stays, or undefined
 * if nothing does.
 */
export async function findPartEnd(
  transaction: Transaction<ArchiveTables>,
  day: Pick<DueDay, 'channelId' | 'startUs' | 'policy'>,
  { segmentsMax, bytesMax }: PartLimits,
): Promise<number | undefined> {
  const { rows } = await sql<{ endPosition: number | null }>`
    SELECT min(first_position) AS "endPosition" FROM (
      SELECT first_position, row_number() OVER ordered AS nth,
             sum(payload_bytes) OVER ordered - payload_bytes AS bytes_before
      FROM (SELECT first_position, payload_bytes FROM segments
            WHERE ${whereIn({ ...day, endPosition: undefined })}
            ORDER BY first_position LIMIT ${segmentsMax + 1}) AS candidate
      WINDOW ordered AS (ORDER BY first_position)) AS numbered
    WHERE nth > 1 AND (nth > ${segmentsMax} OR bytes_before >= ${bytesMax})`.execute(transaction);
  return rows[0].endPosition ?? undefined;
}

/**
 * Takes the bounds of a channel's day until the transaction ends: against others that delete, and
 * against a hold that is being added. Undefined if there are none any more.
 */
export async function takeBounds(
  transaction: Transaction<ArchiveTables>,
  { channelId, startUs }: Pick<ChannelDay, 'channelId' | 'startUs'>,
): Promise<Pick<ChannelDay, 'minPublishedAtUs' | 'maxPublishedAtUs'> | undefined> {
  const { rows } = await sql<Pick<ChannelDay, 'minPublishedAtUs' | 'maxPublishedAtUs'>>`
    SELECT min_published_at AS "minPublishedAtUs", max_published_at AS "maxPublishedAtUs"
    FROM partition_bounds
    WHERE channel_id = ${channelId} AND partition_start = ${instantValue(startUs)}
    FOR UPDATE`.execute(transaction);
  return rows.at(0);
}

/** Makes the bounds of a channel's day those of what is left of it, or removes them. */
export async function narrowBounds(
  transaction: Transaction<ArchiveTables>,
  part: DayPart,
): Promise<void> {
  const { channelId, startUs, endPosition } = part;
  const own = sql`channel_id = ${channelId} AND partition_start = ${instantValue(startUs)}`;
  if (endPosition === undefined) {
    await sql`DELETE FROM partition_bounds WHERE ${own}`.execute(transaction);
    return;
  }
  const { numAffectedRows } = await sql`
    UPDATE partition_bounds SET
      first_position = rest.first_position, last_position = rest.last_position,
      min_published_at = rest.min_published_at, max_published_at = rest.max_published_at,
      message_count = rest.message_count, payload_bytes = rest.payload_bytes
    FROM (
      SELECT min(first_position) AS first_position,
             max(first_position + message_count - 1) AS last_position,
             min(min_published_at) AS min_published_at,
             max(max_published_at) AS max_published_at,
             sum(message_count) AS message_count, sum(payload_bytes) AS payload_bytes
      FROM segments WHERE ${whereIn({ ...part, endPosition: undefined })}) AS rest
    WHERE ${own}`.execute(transaction);
  assert(numAffectedRows === 1n, 'the bounds that are narrowed are those that were taken');
}
