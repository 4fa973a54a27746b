// Where a single message stands, and when it was archived or published, read from the runs of the
// segment that holds it. A segment may have been merged into another since its index row was read,
// so that it is looked for by a position within it, and what is asked is about the message, never
// about the segment.

import { type RawBuilder, sql } from 'kysely';
import { COMPACTED_SPAN_MS, SEGMENT_MESSAGES_MAX, type SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { IndexEntry } from './read-session-index.ts';
import type { ArchivedInterval } from './read-segments.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** A message of a session. */
export interface MessagePlace {
  readonly position: number;
  readonly publishedAtUs: number;
}

/** When the message at `position` was archived, within `archived`; infinite if it is not there. */
export async function archivedAtOf(
  db: ArchiveDatabase,
  channelId: number,
  position: number,
  archived: ArchivedInterval,
): Promise<number> {
  const rows = await rowsOf(
    sql<{ archivedAtUs: number }>`
    SELECT coalesce(run.archived_at, segment.archived_at) AS "archivedAtUs"
    FROM (${segmentAt(channelId, position, archived)}) AS segment
    CROSS JOIN LATERAL (${runsOf()}) AS run
    WHERE segment.first_position + run.through > ${position}
    ORDER BY run.through LIMIT 1`.execute(db),
  );
  return rows.at(0)?.archivedAtUs ?? Number.POSITIVE_INFINITY;
}

/** The last message of `session` that `entry` accounts for; undefined if it is gone. */
export async function lastMessageOf(
  db: ArchiveDatabase,
  channelId: number,
  session: SessionId,
  entry: IndexEntry,
): Promise<MessagePlace | undefined> {
  const { archivedAtUs } = entry;
  const archived = { startUs: archivedAtUs - COMPACTED_SPAN_MS * 1000, endUs: archivedAtUs + 1 };
  const rows = await rowsOf(
    sql<MessagePlace>`
    SELECT segment.first_position + message.ordinal - 1 AS position,
           segment.published_at[message.ordinal] AS "publishedAtUs"
    FROM (${segmentAt(channelId, entry.firstPosition, archived)}) AS segment
    CROSS JOIN LATERAL (${runsOf()}) AS run
    CROSS JOIN LATERAL (
      SELECT run.through - greatest(0, run.first + run.length - 1 - ${entry.lastSequence}::bigint)
               AS ordinal) AS message
    WHERE run.session_id = ${sessionKey(session)} AND run.first <= ${entry.lastSequence}
    ORDER BY run.first DESC LIMIT 1`.execute(db),
  );
  return rows.at(0);
}

function segmentAt(
  channelId: number,
  position: number,
  { startUs, endUs }: ArchivedInterval,
): RawBuilder<unknown> {
  return sql`
    SELECT * FROM segments
    WHERE channel_id = ${channelId}
      AND first_position BETWEEN ${position - SEGMENT_MESSAGES_MAX + 1} AND ${position}
      AND first_position + message_count > ${position}
      AND archived_at >= ${instantValue(startUs)} AND archived_at < ${instantValue(endUs)}
    LIMIT 1`;
}

/** The runs of `segment`; `through` counts its messages up to the end of the run. */
function runsOf(): RawBuilder<unknown> {
  return sql`
    SELECT session_id, first, length, archived_at,
           sum(length) OVER (ORDER BY ordinal)::int AS through
    FROM unnest(segment.run_session, segment.run_first, segment.run_length,
                segment.run_archived_at) WITH ORDINALITY
           AS run (session_id, first, length, archived_at, ordinal)`;
}
