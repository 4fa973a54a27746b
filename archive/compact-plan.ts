// Decides which small segments of a channel become one. Pure: what it knows of a segment is its
// place, its size and when it was archived. Merging costs a row written and many deleted, so it has
// to pay; a segment that is half full already stays as it is.

import {
  assert,
  COMPACTED_SPAN_MS,
  SEGMENT_BYTES_TARGET,
  SEGMENT_MESSAGES_MAX,
} from '#base/mod.ts';

/** What is known of a segment without reading it. */
export interface SegmentShape {
  readonly firstPosition: number;
  readonly messageCount: number;
  readonly payloadBytes: number;
  readonly archivedAtUs: number;
}

/** Below it, merging saves too little for what it writes. */
export const MERGE_PARTS_MIN = 8;

const SPAN_US = COMPACTED_SPAN_MS * 1000;

/**
 * The neighbours among `shapes`, which ascend by position, that are to be merged: each group within
 * one hour of archive time, in the order of which its archive times do not step back, and within
 * the limits of a segment. Of at least `partsMin` parts.
 */
export function planMerges(
  shapes: readonly SegmentShape[],
  partsMin: number = MERGE_PARTS_MIN,
): SegmentShape[][] {
  const groups: SegmentShape[][] = [];
  let group: SegmentShape[] = [];
  let [messageCount, payloadBytes] = [0, 0];
  for (const shape of shapes) {
    const previous = group.at(-1);
    messageCount += shape.messageCount;
    payloadBytes += shape.payloadBytes;
    const fits = messageCount <= SEGMENT_MESSAGES_MAX && payloadBytes <= SEGMENT_BYTES_TARGET;
    if (previous === undefined || !fits || !continues(previous, shape)) {
      groups.push(group);
      group = [];
      ({ messageCount, payloadBytes } = shape);
    }
    if (isSmall(shape)) group.push(shape);
  }
  return [...groups, group].filter(({ length }) => length >= partsMin);
}

function continues(previous: SegmentShape, next: SegmentShape): boolean {
  return (
    previous.firstPosition + previous.messageCount === next.firstPosition &&
    previous.archivedAtUs <= next.archivedAtUs &&
    Math.floor(previous.archivedAtUs / SPAN_US) === Math.floor(next.archivedAtUs / SPAN_US)
  );
}

function isSmall({ messageCount, payloadBytes }: SegmentShape): boolean {
  return messageCount <= SEGMENT_MESSAGES_MAX / 2 && payloadBytes <= SEGMENT_BYTES_TARGET / 2;
}

assert(86_400_000 % COMPACTED_SPAN_MS === 0, 'a day is a whole number of spans');
