// Makes one segment of several that follow each other. Nothing is lost in it: the positions,
// sessions, sequences, publish times and payloads are those of the parts, run for run, and each run
// keeps the time at which it was archived. Pure.

import { assert } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  BYTEA_TYPE,
  TIMESTAMPTZ_TYPE,
  viewOf,
  WIDE_ELEMENT_BYTES,
  writeArrayHeader,
  writeInstant,
} from '#archive/segment/mod.ts';
import type { StoredSegment } from './copy-binary.ts';
import type { ArchivedSegment } from './read-decode.ts';

/** `parts`, at least one and without a hole between their positions, as one segment. */
export function mergeSegments(parts: readonly ArchivedSegment[]): Required<StoredSegment> {
  const [{ firstPosition }] = parts;
  let messageCount = 0;
  for (const part of parts) {
    assert(part.firstPosition === firstPosition + messageCount, 'merged segments are neighbours');
    messageCount += part.messageCount;
  }
  const runs = parts.flatMap((part) => part.runs);
  const instants = parts.flatMap((part) => [...part.publishedAtUs]);
  const payloadField = joinPayloads(parts, messageCount);
  return {
    firstPosition,
    messageCount,
    payloadBytes: payloadField.length - ARRAY_HEADER_BYTES - 4 * messageCount,
    runs,
    runsArchivedAtUs: runs.map((run) => run.archivedAtUs),
    isDense: runs.every((run) => run.lastSequence === run.firstSequence + run.length - 1),
    minPublishedAtUs: instants.reduce((least, us) => Math.min(least, us)),
    maxPublishedAtUs: instants.reduce((most, us) => Math.max(most, us)),
    payloadField,
    publishedAtField: instantsField(instants),
  };
}

/** What stands in the array of a part, behind its head, stands the same in the joined one. */
function joinPayloads(parts: readonly ArchivedSegment[], messageCount: number): Uint8Array {
  const elements = parts.map(({ bytes }) => bytes.subarray(ARRAY_HEADER_BYTES));
  const field = new Uint8Array(
    ARRAY_HEADER_BYTES + elements.reduce((sum, { length }) => sum + length, 0),
  );
  writeArrayHeader(viewOf(field), 0, BYTEA_TYPE, messageCount);
  let at = ARRAY_HEADER_BYTES;
  for (const bytes of elements) {
    field.set(bytes, at);
    at += bytes.length;
  }
  return field;
}

function instantsField(instants: readonly number[]): Uint8Array {
  const field = new Uint8Array(ARRAY_HEADER_BYTES + instants.length * WIDE_ELEMENT_BYTES);
  const view = viewOf(field);
  writeArrayHeader(view, 0, TIMESTAMPTZ_TYPE, instants.length);
  for (const [index, us] of instants.entries()) {
    const at = ARRAY_HEADER_BYTES + index * WIDE_ELEMENT_BYTES;
    view.setInt32(at, 8);
    writeInstant(view, at + 4, us);
  }
  return field;
}
