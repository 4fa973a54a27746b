// Bytes of a binary COPY of segment rows → segments whose messages are reached by index. Pure and total
// over what PostgreSQL sends; anything else is a bug and asserted. Hot: a message costs two array reads,
// never an object. Formats: PostgreSQL manual, "COPY, Binary Format"; arrays as array_send writes them:
//
//   file    signature 11 · flags 4 · extension length 4 · tuples · int16 −1
//   tuple   int16 fields, then per field: int32 length (−1 = NULL) · bytes
//   array   int32 dimensions (0 = empty) · int32 has-null · int32 element type
//           · per dimension int32 size, int32 lower bound · per element: int32 length · bytes

import { assert, POSTGRES_EPOCH_US, type SessionId, sessionFromWords } from '#base/mod.ts';

/** Messages of one session that follow each other in a segment without another session between. */
export interface SegmentRun {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly length: number;
}

/** One row of `segments`. Message `index` has position `firstPosition + index`. */
export interface ArchivedSegment {
  readonly firstPosition: number;
  readonly messageCount: number;
  readonly archivedAtUs: number;
  /** In order; their lengths add up to `messageCount`. */
  readonly runs: readonly SegmentRun[];
  /** Holds every payload: message `index` is the bytes [payloadStarts[index], payloadEnds[index]). */
  readonly bytes: Buffer;
  readonly payloadStarts: Uint32Array;
  readonly payloadEnds: Uint32Array;
  /** Microseconds since 1970 at which the publisher says it published each message. */
  readonly publishedAtUs: Float64Array;
}

/** The columns that `decodeSegments` expects, in this order. */
export const SEGMENT_COLUMNS =
  'first_position, message_count, archived_at, run_session, run_first, run_length, published_at, payload';

const COLUMN_COUNT = 8;
const FILE_HEADER_BYTES = 19;
const ARRAY_HEADER_BYTES = 20;

/** The segments in `copy`, a whole binary COPY of SEGMENT_COLUMNS. They share its memory. */
export function decodeSegments(copy: Buffer): ArchivedSegment[] {
  const segments: ArchivedSegment[] = [];
  let at = FILE_HEADER_BYTES;
  while (copy.readInt16BE(at) !== -1) {
    assert(copy.readInt16BE(at) === COLUMN_COUNT, 'a copied segment has the columns asked for');
    at += 2;
    const fields: number[] = [];
    for (let column = 0; column < COLUMN_COUNT; column += 1) {
      fields.push(at + 4);
      at += 4 + copy.readInt32BE(at);
    }
    segments.push(decodeSegment(copy, fields));
  }
  return segments;
}

function decodeSegment(copy: Buffer, fields: readonly number[]): ArchivedSegment {
  const messageCount = copy.readInt32BE(fields[1]);
  const starts = new Uint32Array(messageCount);
  const ends = new Uint32Array(messageCount);
  locateElements(copy, fields[7], starts, ends);
  return {
    firstPosition: readInt64(copy, fields[0]),
    messageCount,
    archivedAtUs: readTimestampUs(copy, fields[2]),
    runs: decodeRuns(copy, fields[3], fields[4], fields[5]),
    bytes: copy,
    payloadStarts: starts,
    payloadEnds: ends,
    publishedAtUs: decodeTimestamps(copy, fields[6], messageCount),
  };
}

function decodeRuns(copy: Buffer, sessions: number, firsts: number, counts: number): SegmentRun[] {
  const runs: SegmentRun[] = [];
  const runCount = copy.readInt32BE(sessions + 12);
  for (let index = 0; index < runCount; index += 1) {
    const word = sessions + ARRAY_HEADER_BYTES + index * 12 + 4;
    runs.push({
      session: sessionFromWords(copy.readUInt32BE(word), copy.readUInt32BE(word + 4)),
      firstSequence: readInt64(copy, firsts + ARRAY_HEADER_BYTES + index * 12 + 4),
      length: copy.readInt32BE(counts + ARRAY_HEADER_BYTES + index * 8 + 4),
    });
  }
  return runs;
}

function locateElements(copy: Buffer, array: number, starts: Uint32Array, ends: Uint32Array): void {
  assert(copy.readInt32BE(array + 12) === starts.length, 'a segment has a payload per message');
  let at = array + ARRAY_HEADER_BYTES;
  for (let index = 0; index < starts.length; index += 1) {
    const start = at + 4;
    at = start + copy.readInt32BE(at);
    starts[index] = start;
    ends[index] = at;
  }
}

function decodeTimestamps(copy: Buffer, array: number, count: number): Float64Array {
  assert(copy.readInt32BE(array + 12) === count, 'a segment has a publish time per message');
  const instants = new Float64Array(count);
  const first = array + ARRAY_HEADER_BYTES + 4;
  for (let index = 0; index < count; index += 1) {
    instants[index] = readTimestampUs(copy, first + index * 12);
  }
  return instants;
}

function readTimestampUs(bytes: Buffer, at: number): number {
  return readInt64(bytes, at) + POSTGRES_EPOCH_US;
}

function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}
