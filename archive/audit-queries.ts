// The questions of the auditor in SQL, for one channel each. They read what is stored, the runs and
// the arrays of the segments themselves, and compare the indexes and bounds with that, never the
// reverse. Every row of an answer is a problem: kind, session (or null), first and last, both
// included, of sequences where there is a session and of positions where there is none.

import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { COMPACTED_SPAN_MS, SEGMENT_MESSAGES_MAX } from '#base/mod.ts';

/** A row of every question below. */
export interface ProblemRow {
  readonly kind: AuditProblemKind;
  readonly session: string | null;
  readonly first: number;
  readonly last: number;
}

/** What can be wrong, with the sentence that explains it. */
export const AUDIT_PROBLEMS = {
  hole:
    'Sequences up to the watermark that are neither stored nor declared lost nor deleted by a ' +
    'policy, nor belong to a message of a foreign source.',
  stored_and_lost: 'Sequences that are stored and declared lost as well.',
  stored_twice: 'Sequences that are stored, or belong to a stored message, more than once.',
  lost_twice: 'Sequences that two unhealed losses declare.',
  deleted_and_kept: 'Sequences that are deleted by a policy, and stored or declared lost as well.',
  deleted_twice: 'Sequences that two deletions name.',
  deletion_wrong: 'Positions of deletions that have not as many messages between them.',
  unaccounted:
    'Sequences stored, lost or deleted outside [first_archived, watermark] of their session.',
  position_hole: 'Positions up to the head that no segment holds and no policy deleted.',
  position_overlap: 'Positions that two segments hold, or a segment and a deletion.',
  beyond_head: 'Positions stored behind the head of the channel.',
  segment_damaged: 'Positions of a segment whose counts, sizes or times contradict its arrays.',
  index_wrong: 'Sequences for which segment_sessions and the segments disagree.',
  bounds_wrong: 'Positions of a day for which partition_bounds and the segments disagree.',
} as const;

/** One of the kinds above. */
export type AuditProblemKind = keyof typeof AUDIT_PROBLEMS;

/**
 * Problems listed per question: enough to see the extent, bounded for an archive that is in ruins.
 */
export const PROBLEMS_PER_QUESTION_MAX = 1_000;

type Question = (channelId: number) => RawBuilder<ProblemRow>;

/** Every question. */
export const AUDIT_QUESTIONS: readonly Question[] = [
  accounting,
  storedTwice,
  lostTwice,
  deletedTwice,
  deletedPositions,
  positions,
  segmentArrays,
  sessionIndex,
  partitionBounds,
];

const LIMIT = sql.raw(`LIMIT ${PROBLEMS_PER_QUESTION_MAX}`);
const SPAN = sql.raw(`interval '${COMPACTED_SPAN_MS} milliseconds'`);
const SESSION = sql.raw(`lpad(to_hex(session_id), 16, '0')`);

function runs(channelId: number): RawBuilder<unknown> {
  return sql`
    SELECT run.session_id, run.first_sequence,
           run.first_sequence + run.length - 1 AS last_message,
           coalesce(run.last_sequence, run.first_sequence + run.length - 1) AS last_sequence,
           segment.first_position, segment.archived_at
    FROM segments segment,
         unnest(segment.run_session, segment.run_first, segment.run_length, segment.run_last)
           AS run (session_id, first_sequence, length, last_sequence)
    WHERE segment.channel_id = ${channelId}`;
}

/**
 * Stored, lost and deleted together are exactly what the session's row says, and are apart.
 * Only in a foreign session may a run account for more numbers than it has messages.
 */
function accounting(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH run AS (${runs(channelId)}),
    stored AS (
      SELECT run.session_id,
             range_agg(int8range(run.first_sequence,
               CASE WHEN origin.is_foreign THEN run.last_sequence ELSE run.last_message END,
               '[]')) AS stored
      FROM run
      LEFT JOIN sessions origin
        ON origin.channel_id = ${channelId} AND origin.session_id = run.session_id
      GROUP BY run.session_id),
    lost AS (
      SELECT session_id, range_agg(int8range(first_sequence, last_sequence, '[]')) AS lost
      FROM losses WHERE channel_id = ${channelId} AND healed_at IS NULL GROUP BY session_id),
    deleted AS (
      SELECT session_id, range_agg(int8range(first_sequence, last_sequence, '[]')) AS deleted
      FROM deletions WHERE channel_id = ${channelId} GROUP BY session_id),
    due AS (
      SELECT session_id,
             int8multirange(int8range(first_archived, watermark + 1)) AS due
      FROM sessions WHERE channel_id = ${channelId}),
    account AS (
      SELECT session_id,
             coalesce(due, '{}') AS due,
             coalesce(stored, '{}') AS stored,
             coalesce(lost, '{}') AS lost,
             coalesce(deleted, '{}') AS deleted
      FROM due FULL JOIN stored USING (session_id) FULL JOIN lost USING (session_id)
           FULL JOIN deleted USING (session_id)),
    problem AS (
      SELECT 'hole' AS kind, session_id, unnest(due - (stored + lost + deleted)) AS range
      FROM account
      UNION ALL
      SELECT 'stored_and_lost', session_id, unnest(stored * lost) FROM account
      UNION ALL
      SELECT 'deleted_and_kept', session_id, unnest(deleted * (stored + lost)) FROM account
      UNION ALL
      SELECT 'unaccounted', session_id, unnest((stored + lost + deleted) - due) FROM account)
    SELECT kind, ${SESSION} AS session, lower(range) AS first, upper(range) - 1 AS last
    FROM problem ORDER BY session_id, range ${LIMIT}`;
}

function storedTwice(channelId: number): RawBuilder<ProblemRow> {
  return repeated('stored_twice', runs(channelId));
}

function lostTwice(channelId: number): RawBuilder<ProblemRow> {
  return repeated(
    'lost_twice',
    sql`SELECT session_id, first_sequence, last_sequence FROM losses
        WHERE channel_id = ${channelId} AND healed_at IS NULL`,
  );
}

function deletedTwice(channelId: number): RawBuilder<ProblemRow> {
  return repeated(
    'deleted_twice',
    sql`SELECT session_id, first_sequence, last_sequence FROM deletions
        WHERE channel_id = ${channelId}`,
  );
}

/** The positions that deletions cover together, where publishers interleaved. */
function deletedStretches(channelId: number): RawBuilder<unknown> {
  return sql`
    SELECT unnest(range_agg(int8range(first_position, last_position, '[]'))) AS stretch
    FROM deletions WHERE channel_id = ${channelId}`;
}

/** Each position of deletions is one message of one of them. */
function deletedPositions(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH deleted AS (${deletedStretches(channelId)})
    SELECT 'deletion_wrong' AS kind, NULL AS session,
           lower(stretch) AS first, upper(stretch) - 1 AS last
    FROM deleted JOIN deletions ON first_position <@ stretch AND channel_id = ${channelId}
    GROUP BY stretch HAVING sum(message_count) <> upper(stretch) - lower(stretch)
    ORDER BY stretch ${LIMIT}`;
}

/** The parts of ranges that an earlier range of the same session covers already. */
function repeated(kind: AuditProblemKind, ranges: RawBuilder<unknown>): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH ranges AS (${ranges}),
    ordered AS (
      SELECT session_id, first_sequence, last_sequence,
             max(last_sequence) OVER (
               PARTITION BY session_id ORDER BY first_sequence, last_sequence
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_through
      FROM ranges)
    SELECT ${kind}::text AS kind, ${SESSION} AS session,
           first_sequence AS first, least(last_sequence, covered_through) AS last
    FROM ordered WHERE covered_through >= first_sequence
    ORDER BY session_id, first_sequence ${LIMIT}`;
}

/** Segments and deletions follow each other without hole or overlap from 1 through the head. */
function positions(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH segment AS (
      SELECT first_position AS first, first_position + message_count - 1 AS last
      FROM segments WHERE channel_id = ${channelId}
      UNION ALL
      SELECT lower(stretch), upper(stretch) - 1 FROM (${deletedStretches(channelId)}) AS deleted
      UNION ALL
      SELECT head + 1, head FROM leases WHERE channel_id = ${channelId}),
    ordered AS (
      SELECT first, last,
             coalesce(max(last) OVER (
               ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS through
      FROM segment),
    lease AS (SELECT head FROM leases WHERE channel_id = ${channelId}),
    problem AS (
      SELECT 'position_hole' AS kind, through + 1 AS first, first - 1 AS last
      FROM ordered WHERE first > through + 1
      UNION ALL
      SELECT 'position_overlap', first, least(last, through)
      FROM ordered WHERE first <= through AND last >= first
      UNION ALL
      SELECT 'beyond_head', greatest(first, head + 1), last
      FROM segment, lease WHERE last > head AND last >= first)
    SELECT kind, NULL AS session, first, last FROM problem ORDER BY first, kind ${LIMIT}`;
}

/**
 * Each segment's arrays have as many elements as it has messages, and the sizes and times it
 * states.
 */
function segmentArrays(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    SELECT 'segment_damaged' AS kind, NULL AS session,
           segment.first_position AS first,
           segment.first_position + segment.message_count - 1 AS last
    FROM segments segment
    CROSS JOIN LATERAL (
      SELECT count(*) AS longest, count(payload) AS payloads, count(published_at) AS instants,
             sum(octet_length(payload)) AS bytes,
             min(published_at) AS earliest, max(published_at) AS latest
      FROM unnest(segment.payload, segment.published_at) AS message (payload, published_at)
    ) arrays
    CROSS JOIN LATERAL (
      SELECT count(*) AS longest, count(session_id) AS sessions, count(first_sequence) AS firsts,
             sum(length) AS messages, min(length) AS shortest, count(last_sequence) AS lasts,
             bool_or(last_sequence < first_sequence + length - 1) AS is_cut,
             count(archived_at) AS archived,
             min(archived_at) AS archived_from, max(archived_at) AS archived_through
      FROM unnest(segment.run_session, segment.run_first, segment.run_length, segment.run_last,
                  segment.run_archived_at)
             AS run (session_id, first_sequence, length, last_sequence, archived_at)
    ) runs
    WHERE segment.channel_id = ${channelId}
      AND ((arrays.longest, arrays.payloads, arrays.instants, runs.messages, arrays.bytes)
             IS DISTINCT FROM
           (segment.message_count, segment.message_count, segment.message_count,
            segment.message_count, segment.payload_bytes)
        OR (arrays.earliest, arrays.latest)
             IS DISTINCT FROM (segment.min_published_at, segment.max_published_at)
        OR (runs.sessions, runs.firsts) IS DISTINCT FROM (runs.longest, runs.longest)
        OR runs.shortest < 1
        OR (segment.run_last IS NOT NULL AND runs.lasts <> runs.longest)
        OR runs.is_cut
        OR (segment.run_archived_at IS NOT NULL
            AND (runs.archived <> runs.longest OR runs.archived_from <> segment.archived_at
                 OR runs.archived_through >= segment.archived_at + ${SPAN}))
        OR segment.message_count > ${SEGMENT_MESSAGES_MAX})
    ORDER BY segment.first_position ${LIMIT}`;
}

/**
 * The sparse index has, for each segment, exactly the stretches of consecutive sequences of each
 * session, those of healed losses apart from the others.
 */
function sessionIndex(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH run AS (${runs(channelId)}),
    healed AS (
      SELECT session_id, range_agg(int8range(first_sequence, last_sequence, '[]')) AS healed
      FROM losses
      WHERE channel_id = ${channelId} AND healed_at IS NOT NULL GROUP BY session_id),
    held AS (
      SELECT session_id, first_position, archived_at,
             range_agg(int8range(first_sequence, last_sequence, '[]')) AS held
      FROM run GROUP BY session_id, first_position, archived_at),
    should AS (
      SELECT session_id, lower(stretch) AS first_sequence, upper(stretch) - 1 AS last_sequence,
             first_position, archived_at, is_healed
      FROM held LEFT JOIN healed USING (session_id),
           LATERAL (
             SELECT unnest(held - coalesce(healed, '{}')) AS stretch, false AS is_healed
             UNION ALL SELECT unnest(held * healed), true) AS cut),
    has AS (
      SELECT session_id, first_sequence, last_sequence, first_position, archived_at, is_healed
      FROM segment_sessions WHERE channel_id = ${channelId}),
    problem AS (
      (SELECT * FROM should EXCEPT ALL SELECT * FROM has)
      UNION
      (SELECT * FROM has EXCEPT ALL SELECT * FROM should))
    SELECT 'index_wrong' AS kind, ${SESSION} AS session,
           first_sequence AS first, last_sequence AS last
    FROM problem ORDER BY session_id, first_sequence ${LIMIT}`;
}

/** The map that lets reads prune covers each day exactly. */
function partitionBounds(channelId: number): RawBuilder<ProblemRow> {
  return sql<ProblemRow>`
    WITH should AS (
      SELECT date_trunc('day', archived_at, 'UTC') AS partition_start,
             min(first_position) AS first_position,
             max(first_position + message_count - 1) AS last_position,
             min(min_published_at) AS min_published_at, max(max_published_at) AS max_published_at,
             sum(message_count)::bigint AS message_count,
             sum(payload_bytes)::bigint AS payload_bytes
      FROM segments WHERE channel_id = ${channelId} GROUP BY 1),
    has AS (
      SELECT partition_start, first_position, last_position, min_published_at, max_published_at,
             message_count, payload_bytes
      FROM partition_bounds WHERE channel_id = ${channelId}),
    problem AS (
      (SELECT * FROM should EXCEPT ALL SELECT * FROM has)
      UNION
      (SELECT * FROM has EXCEPT ALL SELECT * FROM should))
    SELECT DISTINCT 'bounds_wrong' AS kind, NULL AS session,
           first_position AS first, last_position AS last
    FROM problem ORDER BY first_position, last_position ${LIMIT}`;
}
