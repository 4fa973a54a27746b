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
import type { HeldMemory, SegmentMemory } from './segment-memory.ts';

/** A run, and when its messages were archived. */
export interface ArchivedRun extends SegmentRun {
  readonly archivedAtUs: number;
}

/**
 * One row of `segments`, or messages of it that follow each other. Message `index` has position
 * `firstPosition + index`.
 */
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
  /** Where all of this lies, if that is used again once nobody holds it. */
  readonly memory?: HeldMemory;
}

const FILE_HEADER_BYTES = 19;
/** Per message: its publish time, and where its payload begins and ends. */
const PLACE_BYTES = 16;

/** What a message takes beside its payload: length and time as they come, and PLACE_BYTES. */
export const MESSAGE_BYTES: number = ELEMENT_HEADER_BYTES + WIDE_ELEMENT_BYTES + PLACE_BYTES;

/** Memory that `segment` keeps busy, in bytes. */
export function memoryOf({ bytes, messageCount }: ArchivedSegment): number {
  return bytes.length + messageCount * (MESSAGE_BYTES - ELEMENT_HEADER_BYTES);
}

/**
 * The columns that `decodeSegments` expects, in this order; `first_index`, which is none of the
 * table's, is that of the first message within the row.
 */
export const SEGMENT_COLUMNS = [
  'first_position',
  'message_count',
  'first_index',
  'archived_at',
  'run_session',
  'run_first',
  'run_length',
  'published_at',
  'payload',
  'run_last',
  'run_archived_at',
] as const;

/**
 * The segments in `rows`, all of a binary COPY of SEGMENT_COLUMNS, whose runs are of the whole
 * row. Each keeps the memory of its row, which is lent from `memory`, if given, and so is the rest.
 */
export function decodeSegments(rows: readonly Buffer[], memory?: SegmentMemory): ArchivedSegment[] {
  const segments: ArchivedSegment[] = [];
  for (const [index, row] of rows.entries()) {
    const start = index === 0 ? FILE_HEADER_BYTES : 0;
    if (start < row.length && row.readInt16BE(start) !== -1) {
      segments.push(decodeRow(row, start, memory));
    }
  }
  return segments;
}

function decodeRow(row: Buffer, start: number, memory: SegmentMemory | undefined): ArchivedSegment {
  const columnCount = row.readInt16BE(start);
  assert(columnCount === SEGMENT_COLUMNS.length, 'a copied segment has the columns asked for');
  let at = start + 2;
  const fields: (Buffer | undefined)[] = [];
  for (let column = 0; column < columnCount; column += 1) {
    const begin = at + 4;
    const length = row.readInt32BE(at);
    at = Math.max(begin, begin + length);
    fields.push(length >= 0 ? row.subarray(begin, at) : undefined);
  }
  return decodeFields(fields, memory);
}

type Fields = readonly [
  ...[Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer],
  Buffer | undefined,
  Buffer | undefined,
];

/** Only the last two columns, run_last and run_archived_at, can be NULL. */
function decodeFields(
  fields: readonly (Buffer | undefined)[],
  memory: SegmentMemory | undefined,
): ArchivedSegment {
  const [position, count, firstIndex, archivedAt, sessions, firsts, lengths, ...rest] =
    fields as Fields;
  const [publishedAt, payload, lasts, runsArchivedAt] = rest;
  const messageCount = count.readInt32BE(0);
  const placeBytes = messageCount * PLACE_BYTES;
  const places = memory?.take(placeBytes) ?? new ArrayBuffer(placeBytes);
  const publishedAtUs = new Float64Array(places, 0, messageCount);
  const payloadStarts = new Uint32Array(places, messageCount * 8, messageCount);
  const payloadEnds = new Uint32Array(places, messageCount * 12, messageCount);
  locateElements(payload, payloadStarts, payloadEnds);
  decodeInstants(publishedAt, publishedAtUs);
  const archivedAtUs = decodeInstant(archivedAt);
  const runs = withInstants(decodeRuns(sessions, firsts, lengths, lasts), {
    archivedAtUs,
    runsArchivedAt,
  });
  return {
    firstPosition: decodeInt8(position),
    messageCount,
    archivedAtUs,
    runs: cutRuns(runs, firstIndex.readInt32BE(0), messageCount),
    bytes: payload,
    payloadStarts,
    payloadEnds,
    publishedAtUs,
    ...(memory && { memory: memory.lend([payload.buffer as ArrayBuffer, places]) }),
  };
}

function withInstants(
  runs: readonly SegmentRun[],
  archived: { readonly archivedAtUs: number; readonly runsArchivedAt: Buffer | undefined },
): ArchivedRun[] {
  const { archivedAtUs, runsArchivedAt } = archived;
  if (runsArchivedAt === undefined) return runs.map((run) => ({ ...run, archivedAtUs }));
  const instants = new Float64Array(runs.length);
  decodeInstants(runsArchivedAt, instants);
  return runs.map((run, index) => ({ ...run, archivedAtUs: instants[index] }));
}

/** What of `runs` lies in the `count` messages from index `start` on. */
function cutRuns(runs: readonly ArchivedRun[], start: number, count: number): ArchivedRun[] {
  const cut: ArchivedRun[] = [];
  let index = 0;
  for (const run of runs) {
    const skipped = Math.max(0, start - index);
    const end = Math.min(run.length, start + count - index);
    if (skipped < end) {
      const firstSequence = run.firstSequence + skipped;
      const lastSequence = end === run.length ? run.lastSequence : run.firstSequence + end - 1;
      cut.push({ ...run, firstSequence, length: end - skipped, lastSequence });
    }
    index += run.length;
  }
  return cut;
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

function decodeInstants(field: Buffer, instants: Float64Array): void {
  const view = viewOf(field);
  const count = readArrayHeader(view, TIMESTAMPTZ_TYPE);
  assert(count === instants.length, 'a segment has a time per message, or per run');
  const first = ARRAY_HEADER_BYTES + ELEMENT_HEADER_BYTES;
  for (let index = 0; index < count; index += 1) {
    instants[index] = readInstant(view, first + index * WIDE_ELEMENT_BYTES);
  }
}
