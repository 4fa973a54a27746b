// Reads the scalar and run columns of a segment from their binary forms. The payloads and publish
// times are read where they are used, without a copy.

import { assert } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  ELEMENT_HEADER_BYTES,
  INT4_TYPE,
  INT8_TYPE,
  readArrayHeader,
  readInstant,
  readInt8,
  readSession,
  viewOf,
  WIDE_ELEMENT_BYTES,
} from './binary-fields.ts';
import type { SegmentRun } from './types.ts';

/**
 * The runs of a segment from the binary forms of run_session, run_first, run_length and run_last;
 * the last is undefined for NULL: every run ends with its last message.
 */
export function decodeRuns(
  runSession: Uint8Array,
  runFirst: Uint8Array,
  runLength: Uint8Array,
  runLast: Uint8Array | undefined,
): SegmentRun[] {
  const sessions = viewOf(runSession);
  const firsts = viewOf(runFirst);
  const lengths = viewOf(runLength);
  const lasts = runLast === undefined ? undefined : viewOf(runLast);
  const count = readArrayHeader(sessions, INT8_TYPE);
  assert(readArrayHeader(firsts, INT8_TYPE) === count, 'each run has a first sequence');
  assert(readArrayHeader(lengths, INT4_TYPE) === count, 'each run has a length');
  const lastCount = lasts === undefined ? count : readArrayHeader(lasts, INT8_TYPE);
  assert(lastCount === count, 'each run has a last sequence, or none has');
  const runs: SegmentRun[] = [];
  for (let index = 0; index < count; index += 1) {
    const wideAt = ARRAY_HEADER_BYTES + index * WIDE_ELEMENT_BYTES + ELEMENT_HEADER_BYTES;
    const narrowAt = ARRAY_HEADER_BYTES + index * 8 + ELEMENT_HEADER_BYTES;
    const firstSequence = readInt8(firsts, wideAt);
    const length = lengths.getInt32(narrowAt);
    const lastSequence = lasts === undefined ? firstSequence + length - 1 : readInt8(lasts, wideAt);
    runs.push({ session: readSession(sessions, wideAt), firstSequence, length, lastSequence });
  }
  return runs;
}

/** The safe integer in the binary form of a bigint. */
export function decodeInt8(field: Uint8Array): number {
  return readInt8(viewOf(field), 0);
}

/** Microseconds since 1970 from the binary form of a timestamptz. */
export function decodeInstant(field: Uint8Array): number {
  return readInstant(viewOf(field), 0);
}
