// Makes the frames of a segment stream. Hot: the payloads of a frame are one view of the memory
// they were read into, whatever their number; per message only its publish time is written. What is
// told in JSON comes ready, so that this stream and NDJSON cannot disagree.

import { assert, sessionToWords } from '#base/mod.ts';
import { viewOf, writeInt8 } from '#archive/segment/mod.ts';
import type { StreamOrigin, StreamRun } from './entries.ts';
import {
  COUNTS_BYTES,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  INSTANT_BYTES,
  LENGTH_BYTES,
  RUN_BYTES,
} from './layout.ts';

/** A run as it is encoded: without where it comes from, which a session frame tells. */
export type EncodedRun = Omit<StreamRun, 'kind' | keyof StreamOrigin>;

const encoder = new TextEncoder();

/** A frame whose body is `text`, a JSON object. */
export function jsonFrame(
  kind: Exclude<keyof typeof FRAME_KINDS, 'messages'>,
  text: string,
): Uint8Array {
  const body = encoder.encode(text);
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  writeHeader(viewOf(frame), FRAME_KINDS[kind], body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * The frame of `runs`, at least one, in two pieces that are to be sent one after the other: what is
 * said of them, and their payloads, which are a view of the segment's bytes. The runs are of one
 * segment, each beginning where the one before ends; in the segment's bytes each payload must have
 * its length in front, as 32 bits, and follow the one before.
 */
export function encodeRuns(runs: readonly EncodedRun[]): readonly [Uint8Array, Uint8Array] {
  const [{ segment, firstIndex }] = runs;
  let end = firstIndex;
  for (const run of runs) {
    const isNext = run.segment === segment && run.firstIndex === end;
    assert(isNext, 'the runs of a frame follow each other in one segment');
    end += run.messageCount;
  }
  const payloads = segment.bytes.subarray(
    segment.payloadStarts[firstIndex] - LENGTH_BYTES,
    segment.payloadEnds[end - 1],
  );
  const instantsAt = FRAME_HEADER_BYTES + COUNTS_BYTES + runs.length * RUN_BYTES;
  const head = new Uint8Array(instantsAt + (end - firstIndex) * INSTANT_BYTES);
  const bodyBytes = head.length - FRAME_HEADER_BYTES + payloads.length;
  assert(bodyBytes <= FRAME_BYTES_MAX, 'a segment fits a frame');
  const view = viewOf(head);
  writeHeader(view, FRAME_KINDS.messages, bodyBytes);
  writeRuns(view, runs, end - firstIndex);
  for (let index = firstIndex, at = instantsAt; index < end; index += 1, at += INSTANT_BYTES) {
    writeInt8(view, at, segment.publishedAtUs[index]);
  }
  return [head, payloads];
}

function writeHeader(view: DataView, kind: number, bodyBytes: number): void {
  view.setUint32(0, bodyBytes);
  view.setUint8(4, kind);
}

function writeRuns(view: DataView, runs: readonly EncodedRun[], messageCount: number): void {
  view.setUint32(FRAME_HEADER_BYTES, runs.length);
  view.setUint32(FRAME_HEADER_BYTES + 4, messageCount);
  let at = FRAME_HEADER_BYTES + COUNTS_BYTES;
  for (const run of runs) {
    const { high, low } = sessionToWords(run.session);
    view.setUint32(at, high);
    view.setUint32(at + 4, low);
    writeInt8(view, at + 8, run.firstSequence);
    writeInt8(view, at + 16, run.throughSequence);
    writeInt8(view, at + 24, run.firstPosition);
    writeInt8(view, at + 32, run.archivedAtUs);
    view.setUint32(at + 40, run.messageCount);
    at += RUN_BYTES;
  }
}
