// Fetches segments by COPY in binary format: the text form of a bytea[] costs more to parse than
// all the rest of a read. COPY takes no parameters, so everything that goes into its text is made
// here from numbers and instants. A fetch takes a connection, reads a bounded amount into memory
// and gives the connection back: nobody holds one while a reader is slow.

import type { Pool } from 'pg';
import { assert, formatInstant, SEGMENT_MESSAGES_MAX, type SequenceRange } from '#base/mod.ts';
import { CopyOut } from './copy-out.ts';
import {
  type ArchivedSegment,
  decodeSegments,
  MESSAGE_BYTES,
  SEGMENT_COLUMNS,
} from './read-decode.ts';
import { explained } from './read-sql.ts';
import type { SegmentMemory } from './segment-memory.ts';

/**
 * Memory for what one fetch brings, if it brings more than one segment: a reader may have another
 * one meanwhile, and keeps less than a mebibyte busy.
 */
export const FETCH_BYTES_MAX = 491_520;
/** A segment that needs more memory comes in pieces, each of a fetch of its own. */
const PIECE_BYTES_MAX = 983_040;
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
  /** Messages wanted; what would only bring more is left out, where it can be told. */
  readonly messagesMax: number;
  readonly order: 'asc' | 'desc';
}

/** Where to put what is fetched, and whether more comes than is wanted. */
export interface FetchStyle {
  /** Undefined for memory that is collected. */
  readonly memory: SegmentMemory | undefined;
  /**
   * Whether segments, and pieces of large ones, come whole, for others too: where they begin and
   * end depends on what is stored alone. Otherwise only what is wanted of them.
   */
  readonly isWhole: boolean;
  /** Memory for what comes, if it is more than one segment. */
  readonly bytesMax: number;
}

/** For one who reads alone. */
export const FETCH_ALONE: FetchStyle = {
  memory: undefined,
  isWhole: false,
  bytesMax: FETCH_BYTES_MAX,
};

/**
 * The next segments that reach into the positions, in the order asked for: at least one if there is
 * one, and no more than the limits of a fetch. An empty answer says that there are none.
 */
export async function fetchSegments(
  pool: Pool,
  query: SegmentQuery,
  style: FetchStyle = FETCH_ALONE,
): Promise<ArchivedSegment[]> {
  const { order } = query;
  const { bytesMax } = style;
  const wanted = wantedOf(query, bytesMax);
  const isCut = !style.isWhole && query.published === undefined;
  const part = isCut ? wantedPart(wanted) : wholePart(query);
  return copySegments(
    pool,
    `SELECT ${valuesOf(part)} FROM (
      SELECT *, sum(${part.bytes}) OVER (ORDER BY first_position ${order}
        ROWS UNBOUNDED PRECEDING) AS bytes_through
      FROM (SELECT * FROM segments WHERE ${whereSegments(query, wanted)}
        ORDER BY first_position ${order} LIMIT ${FETCH_SEGMENTS_MAX}) AS candidates
    ) AS measured
    WHERE bytes_through <= ${integer(bytesMax)} OR bytes_through = ${part.bytes}
    ORDER BY first_position ${order}`,
    style.memory,
  );
}

/** What a fetch takes of a segment, half-open and counted from 0, and what it counts for. */
interface SegmentPart {
  readonly start: string;
  readonly end: string;
  readonly bytes: string;
}

const TOTAL_BYTES = `(payload_bytes + ${MESSAGE_BYTES} * message_count)`;
const PIECES = `((${TOTAL_BYTES} + ${PIECE_BYTES_MAX - 1}) / ${PIECE_BYTES_MAX})`;
const PIECE_MESSAGES = `((message_count + ${PIECES} - 1) / ${PIECES})`;

/** The messages that lie within `positions`. */
function wantedPart({ first, last }: SequenceRange): SegmentPart {
  const start = `greatest(0, ${integer(first)} - first_position)::int`;
  const end = `least(message_count, ${integer(last)} - first_position + 1)::int`;
  return { start, end, bytes: `(${TOTAL_BYTES} * (${end} - ${start}) / message_count)` };
}

/** All of it; of one that is large, which then comes alone, the piece in which reading goes on. */
function wholePart({ positions: { first, last }, order }: SegmentQuery): SegmentPart {
  const next =
    order === 'asc'
      ? `greatest(0, ${integer(first)} - first_position)`
      : `least(message_count - 1, ${integer(last)} - first_position)`;
  const start = `(${next} / ${PIECE_MESSAGES} * ${PIECE_MESSAGES})::int`;
  const end = `least(${start} + ${PIECE_MESSAGES}, message_count)::int`;
  return { start, end, bytes: TOTAL_BYTES };
}

/** SEGMENT_COLUMNS of a part; arrays of which all is taken are not copied for it. */
function valuesOf({ start, end }: SegmentPart): string {
  const slice = (array: string): string =>
    `CASE WHEN ${end} - ${start} = message_count THEN ${array}
      ELSE ${array}[${start} + 1:${end}] END`;
  const values: Readonly<Record<string, string>> = {
    first_position: `first_position + ${start}`,
    message_count: `${end} - ${start}`,
    first_index: start,
    published_at: slice('published_at'),
    payload: slice('payload'),
  };
  return SEGMENT_COLUMNS.map((column) => values[column] ?? column).join(', ');
}

const WHOLE_VALUES = valuesOf({ start: '0', end: 'message_count', bytes: TOTAL_BYTES });

/** Positions beyond these a fetch does not reach, not even of nothing but empty messages. */
function wantedOf(query: SegmentQuery, bytesMax: number): SequenceRange {
  const { positions, published, messagesMax, order } = query;
  if (published !== undefined) return positions;
  const { first, last } = positions;
  const count = Math.min(messagesMax, Math.floor(bytesMax / MESSAGE_BYTES));
  return order === 'asc'
    ? { first, last: Math.min(last, first + count - 1) }
    : { first: Math.max(first, last - count + 1), last };
}

/** Segments to fetch by where they begin, which an index has told. */
export interface SegmentsAtQuery {
  readonly channelId: number;
  /** Where they are, between them. */
  readonly archived: readonly ArchivedInterval[];
  /** In the order in which they are wanted; may repeat. */
  readonly firstPositions: readonly number[];
}

/** The first of these segments, whole: at least one if there is one, within a limit. */
export async function fetchSegmentsAt(
  pool: Pool,
  query: SegmentsAtQuery,
): Promise<ArchivedSegment[]> {
  const { channelId, archived } = query;
  const firstPositions = [...new Set(query.firstPositions)].map(integer).join(', ');
  const order = `array_position(ARRAY[${firstPositions}]::bigint[], first_position)`;
  return copySegments(
    pool,
    `SELECT ${WHOLE_VALUES} FROM (
      SELECT *, sum(${TOTAL_BYTES}) OVER (ORDER BY ${order}
        ROWS UNBOUNDED PRECEDING) AS bytes_through
      FROM segments
      WHERE channel_id = ${integer(channelId)} AND (${archived.map(whereArchived).join(' OR ')})
        AND first_position IN (${firstPositions})
    ) AS measured
    WHERE bytes_through <= ${FETCH_BYTES_MAX} OR bytes_through = ${TOTAL_BYTES}
    ORDER BY ${order}`,
  );
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
    `SELECT ${WHOLE_VALUES} FROM segments
     WHERE channel_id = ${integer(channelId)} AND ${whereArchived(archived)}
       AND first_position BETWEEN ${integer(positions.first)} AND ${integer(positions.last)}
     ORDER BY first_position`,
  );
}

function whereSegments(
  { channelId, archived, published }: SegmentQuery,
  wanted: SequenceRange,
): string {
  const earliest = wanted.first - SEGMENT_MESSAGES_MAX + 1;
  const conditions = [
    `channel_id = ${integer(channelId)}`,
    whereArchived(archived),
    `first_position BETWEEN ${integer(earliest)} AND ${integer(wanted.last)}`,
    `first_position + message_count > ${integer(wanted.first)}`,
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

async function copySegments(
  pool: Pool,
  select: string,
  memory?: SegmentMemory,
): Promise<ArchivedSegment[]> {
  const copy = new CopyOut(`COPY (${select}) TO STDOUT (FORMAT binary)`, (bytes) => {
    return memory?.take(bytes) ?? Buffer.allocUnsafeSlow(bytes).buffer;
  });
  return decodeSegments(await explained(copyOut(pool, copy)), memory);
}

async function copyOut(pool: Pool, copy: CopyOut): Promise<Buffer[]> {
  const connection = await pool.connect();
  connection.on('error', ignoreError);
  connection.query(copy);
  const deadline = setTimeout(() => {
    copy.handleError(new Error(`the database did not answer within ${FETCH_DEADLINE_MS} ms`));
  }, FETCH_DEADLINE_MS);
  let isIntact = false;
  try {
    const rows = await copy.rows;
    isIntact = true;
    return rows;
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
