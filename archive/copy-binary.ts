// Rows of `segments` in the format of COPY … (FORMAT binary): a signature, per row the number of
// columns and per column its length and value, and an end mark. Gives a list of pieces instead of
// one buffer, so that the payloads, nearly all of the bytes, go to the socket from where the
// builder wrote them.

import { assert, sessionToWords } from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  ELEMENT_HEADER_BYTES,
  INT4_TYPE,
  INT8_TYPE,
  TIMESTAMPTZ_TYPE,
  viewOf,
  WIDE_ELEMENT_BYTES,
  writeArrayHeader,
  writeInstant,
  writeInt8,
} from '#archive/segment/mod.ts';
import type { Segment } from '#archive/segment/mod.ts';

/** A segment that was just built, or one that was merged from stored ones. */
export interface StoredSegment extends Segment {
  /** Of a merged segment the archive time of each run; of one COPY all are merged or none is. */
  readonly runsArchivedAtUs?: readonly number[];
}

/** The statement that takes what copySegmentRows gives for the same segments. */
export function copySegmentsStatement(segments: readonly StoredSegment[]): string {
  const runLast = isDense(segments) ? '' : 'run_last, ';
  const runArchivedAt = areMerged(segments) ? 'run_archived_at, ' : '';
  return (
    'COPY segments (channel_id, first_position, message_count, payload_bytes, ' +
    `run_session, run_first, run_length, ${runLast}${runArchivedAt}` +
    'min_published_at, max_published_at, ' +
    'archived_at, published_at, payload) FROM STDIN (FORMAT binary)'
  );
}

const COLUMNS_DENSE = 12;
/** Then 4 bytes of flags and 4 bytes of the length of an extension: none. */
const SIGNATURE: Uint8Array = Buffer.from(`PGCOPY\n\xff\r\n\0${'\0'.repeat(8)}`, 'latin1');
const END_MARK = Uint8Array.from([0xff, 0xff]);
const NARROW_ELEMENT_BYTES = 8;
/** In place of a length: no value. */
const NULL_MARK = -1;
/** Column count and the eight scalar columns with their lengths. */
const SCALARS_BYTES = 2 + 2 * (4 + 4) + 5 * (4 + 8);

/**
 * The pieces to send, in order. They refer to the fields of `segments`, which must not change
 * meanwhile.
 */
export function copySegmentRows(
  channelId: number,
  archivedAtUs: number,
  segments: readonly StoredSegment[],
): Uint8Array[] {
  const pieces: Uint8Array[] = [SIGNATURE];
  const hasLasts = !isDense(segments);
  const columns = COLUMNS_DENSE + Number(hasLasts) + Number(areMerged(segments));
  for (const segment of segments) {
    const lastsBytes = hasLasts ? runLastsBytes(segment) : 0;
    const instants = segment.runsArchivedAtUs;
    const instantsBytes = instants === undefined ? 0 : wideArrayBytes(instants.length);
    const front = new RowWriter(
      SCALARS_BYTES + runsBytes(segment) + lastsBytes + instantsBytes + 4,
    );
    front.view.setInt16(front.take(2), columns);
    front.int4(channelId);
    front.int8(segment.firstPosition);
    front.int4(segment.messageCount);
    front.int8(segment.payloadBytes);
    writeRuns(front, segment);
    if (hasLasts) writeRunLasts(front, segment);
    if (instants !== undefined) front.instants(instants);
    front.instant(segment.minPublishedAtUs);
    front.instant(segment.maxPublishedAtUs);
    front.instant(archivedAtUs);
    front.length(segment.publishedAtField.length);
    pieces.push(front.finished(), segment.publishedAtField);
    pieces.push(lengthPiece(segment.payloadField.length), segment.payloadField);
  }
  pieces.push(END_MARK);
  return pieces;
}

function isDense(segments: readonly Segment[]): boolean {
  return segments.every((segment) => segment.isDense);
}

function areMerged(segments: readonly StoredSegment[]): boolean {
  return segments[0]?.runsArchivedAtUs !== undefined;
}

/** An array of 8-byte values, with its length. */
function wideArrayBytes(count: number): number {
  return 4 + ARRAY_HEADER_BYTES + count * WIDE_ELEMENT_BYTES;
}

function runsBytes(segment: Segment): number {
  const elementBytes = 2 * WIDE_ELEMENT_BYTES + NARROW_ELEMENT_BYTES;
  return 3 * (4 + ARRAY_HEADER_BYTES) + segment.runs.length * elementBytes;
}

function writeRuns(row: RowWriter, { runs }: Segment): void {
  const sessionsAt = row.array(INT8_TYPE, runs.length, WIDE_ELEMENT_BYTES);
  const firstsAt = row.array(INT8_TYPE, runs.length, WIDE_ELEMENT_BYTES);
  const lengthsAt = row.array(INT4_TYPE, runs.length, NARROW_ELEMENT_BYTES);
  const view = row.view;
  const words = new Map<SessionId, { readonly high: number; readonly low: number }>();
  for (const [index, run] of runs.entries()) {
    let word = words.get(run.session);
    if (word === undefined) words.set(run.session, (word = sessionToWords(run.session)));
    const wide = index * WIDE_ELEMENT_BYTES;
    view.setInt32(sessionsAt + wide, 8);
    view.setUint32(sessionsAt + wide + 4, word.high);
    view.setUint32(sessionsAt + wide + 8, word.low);
    view.setInt32(firstsAt + wide, 8);
    writeInt8(view, firstsAt + wide + 4, run.firstSequence);
    view.setInt32(lengthsAt + index * NARROW_ELEMENT_BYTES, 4);
    view.setInt32(lengthsAt + index * NARROW_ELEMENT_BYTES + 4, run.length);
  }
}

function runLastsBytes({ isDense: isNull, runs }: Segment): number {
  return isNull ? 4 : wideArrayBytes(runs.length);
}

function writeRunLasts(row: RowWriter, { isDense: isNull, runs }: Segment): void {
  if (isNull) {
    row.length(NULL_MARK);
    return;
  }
  const lastsAt = row.array(INT8_TYPE, runs.length, WIDE_ELEMENT_BYTES);
  for (const [index, { lastSequence }] of runs.entries()) {
    const at = lastsAt + index * WIDE_ELEMENT_BYTES;
    row.view.setInt32(at, 8);
    writeInt8(row.view, at + 4, lastSequence);
  }
}

function lengthPiece(bytes: number): Uint8Array {
  const piece = new Uint8Array(ELEMENT_HEADER_BYTES);
  viewOf(piece).setInt32(0, bytes);
  return piece;
}

/** Fills a buffer whose size was computed beforehand. */
class RowWriter {
  readonly view: DataView;
  readonly #bytes: Uint8Array;
  #end = 0;

  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
    this.view = viewOf(this.#bytes);
  }

  take(bytes: number): number {
    const at = this.#end;
    this.#end += bytes;
    return at;
  }

  length(bytes: number): void {
    this.view.setInt32(this.take(4), bytes);
  }

  int4(value: number): void {
    this.length(4);
    this.view.setInt32(this.take(4), value);
  }

  int8(value: number): void {
    this.length(8);
    writeInt8(this.view, this.take(8), value);
  }

  instant(us: number): void {
    this.length(8);
    writeInstant(this.view, this.take(8), us);
  }

  instants(us: readonly number[]): void {
    const elementsAt = this.array(TIMESTAMPTZ_TYPE, us.length, WIDE_ELEMENT_BYTES);
    for (const [index, instant] of us.entries()) {
      const at = elementsAt + index * WIDE_ELEMENT_BYTES;
      this.view.setInt32(at, 8);
      writeInstant(this.view, at + 4, instant);
    }
  }

  /** Writes the head of an array column and returns where its elements go. */
  array(elementType: number, count: number, elementBytes: number): number {
    this.length(ARRAY_HEADER_BYTES + count * elementBytes);
    writeArrayHeader(this.view, this.take(ARRAY_HEADER_BYTES), elementType, count);
    return this.take(count * elementBytes);
  }

  finished(): Uint8Array {
    assert(this.#end === this.#bytes.length, 'the size of a row was computed right');
    return this.#bytes;
  }
}
