// The statements of an append, each with its parameters. Values travel as arrays that the server
// unnests, so that a statement has the same text whatever the size of the batch. None calls a
// function in ON CONFLICT or RETURNING: a distributed PostgreSQL evaluates these on another node
// and refuses; least() and greatest() are expressions of the language and pass.

import { formatInstant } from '#base/mod.ts';
import { sessionParameter } from './database-types.ts';
import { sessionStretches } from './session-stretches.ts';
import type { ArchiveBatch } from './types.ts';

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Time limits of the transaction, in milliseconds; the server enforces them even if we hang. */
export interface TransactionLimits {
  readonly statementMs: number;
  readonly lockMs: number;
  readonly idleMs: number;
}

const DAY_US = 86_400_000_000;

/**
 * How the server finds out that our host is gone, in whose name it holds locks: asks after 5 s, and
 * gives up 6 s later. The defaults are hours.
 */
const KEEPALIVE = { tcp_keepalives_idle: 5, tcp_keepalives_interval: 2, tcp_keepalives_count: 3 };

/** Opens the transaction in one round trip; the last result is its time. */
export function beginStatements({ statementMs, lockMs, idleMs }: TransactionLimits): string {
  const settings = {
    synchronous_commit: 'on',
    statement_timeout: statementMs,
    lock_timeout: lockMs,
    idle_in_transaction_session_timeout: idleMs,
    ...KEEPALIVE,
  };
  const set = Object.entries(settings).map(([name, value]) => `SET LOCAL ${name} = ${value}`);
  return ['BEGIN', ...set, 'SELECT now() AS archived_at'].join(';\n');
}

/** Moves the head: one row if the lease is still ours and the head where we left it, else none. */
export function fence(
  batch: ArchiveBatch,
  { holder, newHead }: { readonly holder: string; readonly newHead: number },
): Statement {
  return {
    text: `
UPDATE leases SET head = $1, commits = commits + 1
WHERE channel_id = $2 AND epoch = $3 AND head = $4 AND holder = $5
  AND commits = coalesce($6, commits)`,
    values: [
      newHead,
      batch.channelId,
      batch.epoch,
      batch.expectedHead,
      holder,
      batch.expectedCommits ?? null,
    ],
  };
}

/** What is to run between the fence and the COMMIT; heals follow. */
export function batchStatements(
  batch: ArchiveBatch,
  holder: string,
  archivedAtUs: number,
): Statement[] {
  const statements: Statement[] = [];
  if (batch.segments.length > 0) {
    statements.push(insertSegmentSessions(batch, archivedAtUs));
    statements.push(upsertPartitionBounds(batch, archivedAtUs));
  }
  if (batch.sessions.length > 0) statements.push(upsertSessions(batch, archivedAtUs));
  if (batch.losses.length > 0) statements.push(insertLosses(batch, archivedAtUs));
  if (batch.conflicts.length > 0) statements.push(insertConflicts(batch, holder));
  return statements;
}

function insertSegmentSessions(batch: ArchiveBatch, archivedAtUs: number): Statement {
  const healed = batch.heals.map(({ session, firstSequence, lastSequence }) => {
    return { session, first: firstSequence, last: lastSequence };
  });
  const rows = batch.segments.flatMap(({ firstPosition, runs }) => {
    return sessionStretches(runs, healed).map((stretch) => ({ ...stretch, firstPosition }));
  });
  return {
    text: `
INSERT INTO segment_sessions
  (channel_id, session_id, first_sequence, last_sequence, first_position, is_healed, archived_at)
SELECT $1::int, stretch.*, $7::timestamptz
FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[]) AS stretch`,
    values: [
      batch.channelId,
      rows.map((row) => sessionParameter(row.session)),
      rows.map((row) => row.first),
      rows.map((row) => row.last),
      rows.map((row) => row.firstPosition),
      rows.map((row) => row.isHealed),
      formatInstant(archivedAtUs),
    ],
  };
}

/** The day's bounds, made wider by the batch. */
function upsertPartitionBounds(batch: ArchiveBatch, archivedAtUs: number): Statement {
  const day = Math.floor(archivedAtUs / DAY_US) * DAY_US;
  const last = batch.segments[batch.segments.length - 1];
  const lowest = Math.min(...batch.segments.map((segment) => segment.minPublishedAtUs));
  const highest = Math.max(...batch.segments.map((segment) => segment.maxPublishedAtUs));
  const lastPosition = last.firstPosition + last.messageCount - 1;
  const payloadBytes = batch.segments.reduce((sum, segment) => sum + segment.payloadBytes, 0);
  return {
    text: `
INSERT INTO partition_bounds
  (channel_id, partition_start, first_position, last_position, min_published_at, max_published_at,
   message_count, payload_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (channel_id, partition_start) DO UPDATE SET
  first_position = least(partition_bounds.first_position, excluded.first_position),
  last_position = greatest(partition_bounds.last_position, excluded.last_position),
  min_published_at = least(partition_bounds.min_published_at, excluded.min_published_at),
  max_published_at = greatest(partition_bounds.max_published_at, excluded.max_published_at),
  message_count = partition_bounds.message_count + excluded.message_count,
  payload_bytes = partition_bounds.payload_bytes + excluded.payload_bytes`,
    values: [
      batch.channelId,
      formatInstant(day),
      batch.expectedHead + 1,
      lastPosition,
      formatInstant(lowest),
      formatInstant(highest),
      lastPosition - batch.expectedHead,
      payloadBytes,
    ],
  };
}

function upsertSessions({ channelId, sessions }: ArchiveBatch, archivedAtUs: number): Statement {
  return {
    text: `
INSERT INTO sessions
  (channel_id, opened_at, seen_at, session_id, source, tsi, is_foreign, state,
   first_archived, watermark, lead, resume_sqn, closed_at)
SELECT $1::int, $2::timestamptz, $2::timestamptz, session.*
FROM unnest($3::bigint[], $4::text[], $5::text[], $6::boolean[], $7::text[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[]) AS session
ON CONFLICT (channel_id, session_id) DO UPDATE SET
  source = excluded.source,
  tsi = excluded.tsi,
  state = excluded.state,
  first_archived = excluded.first_archived,
  watermark = excluded.watermark,
  lead = excluded.lead,
  resume_sqn = excluded.resume_sqn,
  seen_at = excluded.seen_at,
  closed_at = excluded.closed_at`,
    values: [
      channelId,
      formatInstant(archivedAtUs),
      sessions.map((row) => sessionParameter(row.session)),
      sessions.map((row) => row.source ?? null),
      sessions.map((row) => row.tsi),
      sessions.map((row) => row.isForeign),
      sessions.map((row) => row.state),
      sessions.map((row) => row.firstArchived),
      sessions.map((row) => row.watermark),
      sessions.map((row) => row.lead),
      sessions.map((row) => row.resumeSqn),
      sessions.map((row) => (row.closedAtUs === undefined ? null : formatInstant(row.closedAtUs))),
    ],
  };
}

/**
 * A loss that stands already stays as it is: a batch without segments may be repeated after a
 * COMMIT whose answer was lost, and the fence alone cannot tell.
 */
function insertLosses({ channelId, losses }: ArchiveBatch, archivedAtUs: number): Statement {
  return {
    text: `
INSERT INTO losses
  (channel_id, declared_at, session_id, first_sequence, last_sequence, cause,
   after_position, detected_at, first_sqn, next_sqn, packet_count)
SELECT $1::int, $2::timestamptz, loss.*
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
            $7::bigint[], $8::timestamptz[], $9::bigint[], $10::bigint[], $11::bigint[])
       AS loss
ON CONFLICT (channel_id, session_id, first_sequence) DO NOTHING`,
    values: [
      channelId,
      formatInstant(archivedAtUs),
      losses.map((loss) => sessionParameter(loss.session)),
      losses.map((loss) => loss.firstSequence),
      losses.map((loss) => loss.lastSequence),
      losses.map((loss) => loss.cause),
      losses.map((loss) => loss.afterPosition),
      losses.map((loss) => formatInstant(loss.detectedAtUs)),
      losses.map((loss) => loss.firstSqn ?? null),
      losses.map((loss) => loss.nextSqn),
      losses.map((loss) => loss.packetCount),
    ],
  };
}

/** Repeated, like a loss, it stays as it is. */
function insertConflicts({ channelId, conflicts }: ArchiveBatch, holder: string): Statement {
  return {
    text: `
INSERT INTO conflicts
  (channel_id, archiver, session_id, first_sequence, last_sequence, detected_at, evidence,
   stored_sha256, heard_sha256)
SELECT $1::int, $2::text, conflict.*
FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::text[],
            $8::bytea[], $9::bytea[]) AS conflict
ON CONFLICT (channel_id, session_id, first_sequence, detected_at) DO NOTHING`,
    values: [
      channelId,
      holder,
      conflicts.map((conflict) => sessionParameter(conflict.session)),
      conflicts.map((conflict) => conflict.firstSequence),
      conflicts.map((conflict) => conflict.lastSequence),
      conflicts.map((conflict) => formatInstant(conflict.detectedAtUs)),
      conflicts.map((conflict) => conflict.evidence),
      conflicts.map((conflict) => bytesParameter(conflict.storedSha256)),
      conflicts.map((conflict) => bytesParameter(conflict.heardSha256)),
    ],
  };
}

function bytesParameter(bytes: Uint8Array | null): Buffer | null {
  return bytes === null ? null : Buffer.from(bytes);
}
