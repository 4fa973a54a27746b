// Fetches segments by COPY in binary format: the text form of a bytea[] costs more to parse than
// all the rest of a read. COPY takes no parameters, so everything that goes into its text is made
// here from numbers and instants. A fetch takes a connection, reads a bounded amount into memory
// and gives the connection back: nobody holds one while a reader is slow.

import type { Pool } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import {
  assert,
  formatInstant,
  SEGMENT_MESSAGES_MAX,
  SEQUENCE_MAX,
  type SequenceRange,
} from '#base/mod.ts';
import { type ArchivedSegment, decodeSegments, SEGMENT_COLUMNS } from './read-decode.ts';
import { explained } from './read-sql.ts';

/**
 * Payload bytes after which a fetch takes no further segment: about one segment of the target size.
 */
export const FETCH_BYTES_TARGET = 262_144;
/** Segments in one fetch: enough for a page of small ones, from a channel with little traffic. */
const FETCH_SEGMENTS_MAX = 256;
/**
 * Until a fetch has its answer. Beyond any sane read of a megabyte; ends waiting for a silent
 * server.
 */
const FETCH_DEADLINE_MS = 15_000;

/**
 * An interval of `archived_at`, half-open, in microseconds: the partitions that a fetch may touch.
 */
export interface ArchivedInterval {
  readonly startUs: number;
  readonly endUs: number;
}

/** What one fetch looks for. */
export interface SegmentQuery {
  readonly channelId: number;
  readonly archived: ArchivedInterval;
  readonly positions: SequenceRange;
  readonly published: { readonly startUs: number; readonly endUs: number } | undefined;
  /** Messages wanted; segments that would only bring more are left out. */
  readonly messagesMax: number;
  readonly order: 'asc' | 'desc';
}

/**
 * The next segments that reach into `positions`, in the order asked for: at least one if there is
 * one, and no more than the limits of a fetch. An empty answer says that there are none.
 */
export async function fetchSegments(pool: Pool, query: SegmentQuery): Promise<ArchivedSegment[]> {
  const { positions, order } = query;
  return copySegments(
    pool,
    withinBudget({
      candidates: `SELECT * FROM segments WHERE ${whereSegments(query)}
        ORDER BY first_position ${order} LIMIT ${FETCH_SEGMENTS_MAX}`,
      positions,
      messagesMax: query.messagesMax,
      order: `first_position ${order}`,
    }),
  );
}

/** Segments to fetch by where they begin, which an index has told. */
export interface SegmentsAtQuery {
  readonly channelId: number;
  /** Where they are, between them. */
  readonly archived: readonly ArchivedInterval[];
  /** In the order in which they are wanted; may repeat. */
  readonly firstPositions: readonly number[];
}

/** The first of these segments: at least one if there is one, within the limits. */
export async function fetchSegmentsAt(
  pool: Pool,
  query: SegmentsAtQuery,
): Promise<ArchivedSegment[]> {
  const { channelId, archived } = query;
  const firstPositions = [...new Set(query.firstPositions)].map(integer).join(', ');
  const candidates = `SELECT * FROM segments
    WHERE channel_id = ${integer(channelId)} AND (${archived.map(whereArchived).join(' OR ')})
      AND first_position IN (${firstPositions})`;
  const positions = { first: 1, last: SEQUENCE_MAX };
  const messagesMax = SEQUENCE_MAX;
  const order = `array_position(ARRAY[${firstPositions}]::bigint[], first_position)`;
  return copySegments(pool, withinBudget({ candidates, positions, messagesMax, order }));
}

/** Segments by where the first and the last of them begin, and when they were archived. */
export interface WholeSegmentsQuery {
  readonly channelId: number;
  readonly archived: ArchivedInterval;
  readonly positions: SequenceRange;
}

/** All of these segments, in order. For who knows that together they are not large. */
export function fetchWholeSegments(
  pool: Pool,
  { channelId, archived, positions }: WholeSegmentsQuery,
): Promise<ArchivedSegment[]> {
  return copySegments(
    pool,
    `SELECT ${SEGMENT_COLUMNS} FROM segments
     WHERE channel_id = ${integer(channelId)} AND ${whereArchived(archived)}
       AND first_position BETWEEN ${integer(positions.first)} AND ${integer(positions.last)}
     ORDER BY first_position`,
  );
}

/** Of `candidates`, in order, as many as the limits of a fetch allow; the first in any case. */
function withinBudget(budget: {
  readonly candidates: string;
  readonly positions: SequenceRange;
  readonly messagesMax: number;
  /** What to order by. */
  readonly order: string;
}): string {
  const { candidates, positions, messagesMax, order } = budget;
  const before = `OVER (ORDER BY ${order}
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
  const wanted = `least(first_position + message_count - 1, ${integer(positions.last)})
    - greatest(first_position, ${integer(positions.first)}) + 1`;
  return `SELECT ${SEGMENT_COLUMNS} FROM (
    SELECT *, coalesce(sum(payload_bytes) ${before}, 0) AS bytes_before,
      coalesce(sum(${wanted}) ${before}, 0) AS messages_before
    FROM (${candidates}) AS candidates
  ) AS measured
  WHERE bytes_before < ${FETCH_BYTES_TARGET} AND messages_before < ${integer(messagesMax)}
  ORDER BY ${order}`;
}

function whereSegments({ channelId, archived, positions, published }: SegmentQuery): string {
  const earliest = positions.first - SEGMENT_MESSAGES_MAX + 1;
  const conditions = [
    `channel_id = ${integer(channelId)}`,
    whereArchived(archived),
    `first_position BETWEEN ${integer(earliest)} AND ${integer(positions.last)}`,
    `first_position + message_count > ${integer(positions.first)}`,
  ];
  if (published !== undefined) {
    conditions.push(`max_published_at >= ${instant(published.startUs)}`);
    conditions.push(`min_published_at < ${instant(published.endUs)}`);
  }
  return conditions.join(' AND ');
}

function whereArchived(archived: ArchivedInterval): string {
  return `archived_at >= ${instant(archived.startUs)} AND archived_at < ${instant(archived.endUs)}`;
}

async function copySegments(pool: Pool, select: string): Promise<ArchivedSegment[]> {
  return decodeSegments(
    await explained(copyOut(pool, `COPY (${select}) TO STDOUT (FORMAT binary)`)),
  );
}

async function copyOut(pool: Pool, statement: string): Promise<Buffer> {
  const connection = await pool.connect();
  connection.on('error', ignoreError);
  const copy = connection.query(copyTo(statement));
  const deadline = setTimeout(() => {
    copy.destroy(new Error(`the database did not answer within ${FETCH_DEADLINE_MS} ms`));
  }, FETCH_DEADLINE_MS);
  let isIntact = false;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of copy) chunks.push(chunk as Buffer);
    isIntact = true;
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(deadline);
    connection.off('error', ignoreError);
    connection.release(!isIntact);
  }
}

// A connection that breaks reports it twice: to the COPY, which throws, and here.
function ignoreError(): void {}

function integer(value: number): string {
  assert(Number.isSafeInteger(value), 'a number in the text of a COPY is a safe integer');
  return String(value);
}

function instant(us: number): string {
  return `'${formatInstant(us)}'::timestamptz`;
}
