// Bytes of a binary COPY of segment rows → segments whose messages are reached by index. Pure and
// total over what PostgreSQL sends; anything else is a bug and asserted. Hot: a message costs two
// array reads, never an object, and a segment is entered anywhere and in both directions. Format of
// the whole: PostgreSQL manual, "COPY, Binary Format":
//
//   file    signature 11 · flags 4 · extension length 4 · tuples · int16 −1
//   tuple   int16 fields, then per field: int32 length (−1 = NULL) · bytes

import { assert } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  BYTEA_TYPE,
  decodeInstant,
  decodeInt8,
  decodeRuns,
  ELEMENT_HEADER_BYTES,
  readArrayHeader,
  readInstant,
  TIMESTAMPTZ_TYPE,
  viewOf,
  WIDE_ELEMENT_BYTES,
} from '#archive/segment/mod.ts';
import type { SegmentRun } from '#archive/segment/mod.ts';

/** A run, and when its messages were archived. */
export interface ArchivedRun extends SegmentRun {
  readonly archivedAtUs: number;
}

/** One row of `segments`. Message `index` has position `firstPosition + index`. */
export interface ArchivedSegment {
  readonly firstPosition: number;
  readonly messageCount: number;
  /** That of the first run; the others of a merged segment were archived within an hour of it. */
  readonly archivedAtUs: number;
  /** In order; their lengths add up to `messageCount`. */
  readonly runs: readonly ArchivedRun[];
  /**
   * Holds every payload: message `index` is the bytes [payloadStarts[index], payloadEnds[index]).
   */
  readonly bytes: Buffer;
  readonly payloadStarts: Uint32Array;
  readonly payloadEnds: Uint32Array;
  /** Microseconds since 1970 at which the publisher says it published each message. */
  readonly publishedAtUs: Float64Array;
}

/** The columns that `decodeSegments` expects, in this order. */
export const SEGMENT_COLUMNS =
  'first_position, message_count, archived_at, run_session, run_first, run_length, ' +
  'published_at, payload, run_last, run_archived_at';

const COLUMN_COUNT = 10;
const FILE_HEADER_BYTES = 19;

/** The segments in `copy`, a whole binary COPY of SEGMENT_COLUMNS. They share its memory. */
export function decodeSegments(copy: Buffer): ArchivedSegment[] {
  const segments: ArchivedSegment[] = [];
  let at = FILE_HEADER_BYTES;
  while (copy.readInt16BE(at) !== -1) {
    assert(copy.readInt16BE(at) === COLUMN_COUNT, 'a copied segment has the columns asked for');
    at += 2;
    const fields: (Buffer | undefined)[] = [];
    for (let column = 0; column < COLUMN_COUNT; column += 1) {
      const start = at + 4;
      const length = copy.readInt32BE(at);
      at = Math.max(start, start + length);
      fields.push(length >= 0 ? copy.subarray(start, at) : undefined);
    }
    segments.push(decodeSegment(fields));
  }
  return segments;
}

type Fields = readonly [
  ...[Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer],
  Buffer | undefined,
  Buffer | undefined,
];

/** Only the last two columns, run_last and run_archived_at, can be NULL. */
function decodeSegment(fields: readonly (Buffer | undefined)[]): ArchivedSegment {
  const [
    position,
    count,
    archivedAt,
    sessions,
    firsts,
    lengths,
    publishedAt,
    payload,
    ...optional
  ] = fields as Fields;
  const [lasts, runsArchivedAt] = optional;
  const messageCount = count.readInt32BE(0);
  const payloadStarts = new Uint32Array(messageCount);
  const payloadEnds = new Uint32Array(messageCount);
  locateElements(payload, payloadStarts, payloadEnds);
  const archivedAtUs = decodeInstant(archivedAt);
  const runs = decodeRuns(sessions, firsts, lengths, lasts);
  const instants =
    runsArchivedAt === undefined ? undefined : decodeInstants(runsArchivedAt, runs.length);
  return {
    firstPosition: decodeInt8(position),
    messageCount,
    archivedAtUs,
    runs: runs.map((run, index) => ({ ...run, archivedAtUs: instants?.[index] ?? archivedAtUs })),
    bytes: payload,
    payloadStarts,
    payloadEnds,
    publishedAtUs: decodeInstants(publishedAt, messageCount),
  };
}

function locateElements(field: Buffer, starts: Uint32Array, ends: Uint32Array): void {
  const view = viewOf(field);
  const count = readArrayHeader(view, BYTEA_TYPE);
  assert(count === starts.length, 'a segment has a payload per message');
  let at = ARRAY_HEADER_BYTES;
  for (let index = 0; index < count; index += 1) {
    const start = at + ELEMENT_HEADER_BYTES;
    at = start + view.getInt32(at);
    starts[index] = start;
    ends[index] = at;
  }
}

function decodeInstants(field: Buffer, elementCount: number): Float64Array {
  const view = viewOf(field);
  const count = readArrayHeader(view, TIMESTAMPTZ_TYPE);
  assert(count === elementCount, 'a segment has a time per message, or per run');
  const instants = new Float64Array(count);
  const first = ARRAY_HEADER_BYTES + ELEMENT_HEADER_BYTES;
  for (let index = 0; index < count; index += 1) {
    instants[index] = readInstant(view, first + index * WIDE_ELEMENT_BYTES);
  }
  return instants;
}
