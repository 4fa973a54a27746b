// Merges one group of neighbouring segments, in one transaction: the parts go, the merged segment
// comes, and so do their index rows. A reader sees the one or the other, whenever it looks; nothing
// that an append touches is touched. If anything is not as it was planned, nothing happens.

import { finished } from 'node:stream/promises';
import type { Pool, PoolClient } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { formatInstant, type SequenceRange, type SessionId } from '#base/mod.ts';
import type { SegmentShape } from './compact-plan.ts';
import { copySegmentRows, copySegmentsStatement, type StoredSegment } from './copy-binary.ts';
import { sessionParameter } from './database-types.ts';
import { mergeSegments } from './merge-segments.ts';
import { MOVE_LOCK } from './move-lock.ts';
import type { ArchivedSegment } from './read-decode.ts';
import { type ArchivedInterval, fetchWholeSegments } from './read-segments.ts';
import { isInTheWay } from './sqlstate.ts';

/** Segments to merge, as they were when the plan was made. */
export interface MergeGroup {
  readonly channelId: number;
  readonly parts: readonly SegmentShape[];
}

/**
 * `changed`: somebody else has merged or deleted some of them. `busy`: another process moves rows
 * at the moment.
 */
export type MergeOutcome = 'merged' | 'changed' | 'busy';

/** Any of it fails rather than holds others up. */
const STATEMENT_MS_MAX = 20_000;

/** Merges `group`. Errors are those of PostgreSQL, after which everything is as before. */
export async function mergeGroup(pool: Pool, group: MergeGroup): Promise<MergeOutcome> {
  const parts = await fetchParts(pool, group);
  if (parts === undefined) return 'changed';
  const client = await pool.connect();
  let isIntact = false;
  try {
    const outcome = await replace(client, group, parts);
    isIntact = true;
    return outcome;
  } catch (error) {
    if (isInTheWay(error)) return 'busy';
    throw error;
  } finally {
    // With the connection goes whatever the transaction did.
    client.release(!isIntact);
  }
}

/** The parts with their messages; undefined if they are not what they were. */
async function fetchParts(pool: Pool, group: MergeGroup): Promise<ArchivedSegment[] | undefined> {
  const found = await fetchWholeSegments(pool, {
    channelId: group.channelId,
    archived: archivedOf(group),
    positions: {
      first: group.parts[0].firstPosition,
      last: group.parts[group.parts.length - 1].firstPosition,
    },
  });
  const isSame =
    found.length === group.parts.length &&
    group.parts.every(
      ({ firstPosition, messageCount }, index) =>
        found[index].firstPosition === firstPosition && found[index].messageCount === messageCount,
    );
  return isSame ? found : undefined;
}

async function replace(
  client: PoolClient,
  group: MergeGroup,
  parts: readonly ArchivedSegment[],
): Promise<MergeOutcome> {
  const merged = mergeSegments(parts);
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await client.query(`SET LOCAL statement_timeout = ${STATEMENT_MS_MAX}`);
  for (const statement of MOVE_LOCK) await client.query(statement);
  if ((await deleteParts(client, group)) !== group.parts.length) {
    await client.query('ROLLBACK');
    return 'changed';
  }
  await copyIn(client, group.channelId, parts[0].archivedAtUs, merged);
  await mergeIndex(client, group, merged);
  await client.query('COMMIT');
  return 'merged';
}

async function deleteParts(client: PoolClient, group: MergeGroup): Promise<number> {
  const { startUs, endUs } = archivedOf(group);
  const result = await client.query(
    `DELETE FROM segments USING unnest($2::bigint[], $3::int[]) AS part (first, count)
     WHERE channel_id = $1 AND first_position = part.first AND message_count = part.count
       AND archived_at >= $4 AND archived_at < $5`,
    [
      group.channelId,
      group.parts.map((part) => part.firstPosition),
      group.parts.map((part) => part.messageCount),
      formatInstant(startUs),
      formatInstant(endUs),
    ],
  );
  return result.rowCount ?? 0;
}

async function copyIn(
  client: PoolClient,
  channelId: number,
  archivedAtUs: number,
  segment: StoredSegment,
): Promise<void> {
  const stream = client.query(copyFrom(copySegmentsStatement([segment])));
  const done = finished(stream);
  for (const piece of copySegmentRows(channelId, archivedAtUs, [segment])) stream.write(piece);
  stream.end();
  await done;
}

interface IndexRow {
  readonly session_id: string;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly is_healed: boolean;
}

async function mergeIndex(
  client: PoolClient,
  group: MergeGroup,
  merged: StoredSegment,
): Promise<void> {
  const { startUs, endUs } = archivedOf(group);
  const spans = [...sessionSpans(merged)];
  const deleted = await client.query<IndexRow>(
    `DELETE FROM segment_sessions
     USING unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS span (session, first, last)
     WHERE channel_id = $1 AND session_id = span.session
       AND first_sequence BETWEEN span.first AND span.last
       AND first_position = ANY ($5::bigint[]) AND archived_at >= $6 AND archived_at < $7
     RETURNING session_id::text, first_sequence, last_sequence, is_healed`,
    [
      group.channelId,
      spans.map(([session]) => sessionParameter(session)),
      spans.map(([, span]) => span.first),
      spans.map(([, span]) => span.last),
      group.parts.map((part) => part.firstPosition),
      formatInstant(startUs),
      formatInstant(endUs),
    ],
  );
  const rows = joinStretches(deleted.rows);
  await client.query(
    `INSERT INTO segment_sessions
       (channel_id, session_id, first_sequence, last_sequence, is_healed, first_position,
        archived_at)
     SELECT $1::int, stretch.*, $6::bigint, $7::timestamptz
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[]) AS stretch`,
    [
      group.channelId,
      rows.map((row) => row.session_id),
      rows.map((row) => row.first_sequence),
      rows.map((row) => row.last_sequence),
      rows.map((row) => row.is_healed),
      merged.firstPosition,
      formatInstant(startUs),
    ],
  );
}

/** Between which sequences the index rows of each session begin. */
function sessionSpans({ runs }: StoredSegment): Map<SessionId, SequenceRange> {
  const spans = new Map<SessionId, SequenceRange>();
  for (const { session, firstSequence, lastSequence } of runs) {
    const { first, last } = spans.get(session) ?? { first: firstSequence, last: lastSequence };
    spans.set(session, {
      first: Math.min(first, firstSequence),
      last: Math.max(last, lastSequence),
    });
  }
  return spans;
}

/** Stretches become one where one goes on where another ends; healed ones stay apart. */
function joinStretches(rows: readonly IndexRow[]): IndexRow[] {
  const joined: IndexRow[] = [];
  for (const row of rows.toSorted(compareRows)) {
    const before = joined.at(-1);
    const continues =
      before?.session_id === row.session_id &&
      before.is_healed === row.is_healed &&
      before.last_sequence + 1 === row.first_sequence;
    if (continues) joined[joined.length - 1] = { ...before, last_sequence: row.last_sequence };
    else joined.push(row);
  }
  return joined;
}

function compareRows(one: IndexRow, other: IndexRow): number {
  if (one.session_id !== other.session_id) return one.session_id < other.session_id ? -1 : 1;
  return one.first_sequence - other.first_sequence;
}

/** Where the parts are: their archive times do not step back. */
function archivedOf({ parts }: MergeGroup): ArchivedInterval {
  const last = parts[parts.length - 1];
  return { startUs: parts[0].archivedAtUs, endUs: last.archivedAtUs + 1 };
}
