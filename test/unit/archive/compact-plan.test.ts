import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planMerges, type SegmentShape } from '#archive/mod.ts';
import { COMPACTED_SPAN_MS, SEGMENT_BYTES_TARGET, SEGMENT_MESSAGES_MAX } from '#base/mod.ts';

const NOON_US = Date.UTC(2026, 10, 22, 12) * 1000;

/** Segments of `counts` messages and of 100 bytes, a second apart, from `firstPosition` on. */
function shapesOf(counts: readonly number[], firstPosition = 1, startUs = NOON_US): SegmentShape[] {
  let next = firstPosition;
  return counts.map((messageCount, index) => {
    const archivedAtUs = startUs + index * 1_000_000;
    const shape = { firstPosition: next, messageCount, payloadBytes: 100, archivedAtUs };
    next += messageCount;
    return shape;
  });
}

const ones = (count: number): number[] => Array.from({ length: count }, () => 1);

function sizes(shapes: readonly SegmentShape[], partsMin?: number): number[] {
  return planMerges(shapes, partsMin).map((group) => group.length);
}

test('eight neighbours are merged, seven are not', () => {
  assert.deepEqual(sizes(shapesOf(ones(8))), [8]);
  assert.deepEqual(sizes(shapesOf(ones(7))), []);
  assert.deepEqual(sizes([]), []);
});

test('no group crosses an hour of the clock', () => {
  const edge = NOON_US + COMPACTED_SPAN_MS * 1000 - 10 * 1_000_000;
  assert.deepEqual(sizes(shapesOf(ones(20), 1, edge)), [10, 10]);
});

test('a hole between positions ends a group', () => {
  assert.deepEqual(sizes([...shapesOf(ones(9)), ...shapesOf(ones(8), 11)]), [9, 8]);
});

test('a clock that steps back ends a group', () => {
  const later = shapesOf(ones(8), 1, NOON_US + 60_000_000);
  assert.deepEqual(sizes([...later, ...shapesOf(ones(9), 9)]), [8, 9]);
});

test('a segment that is half full stays as it is, and so apart what is around it', () => {
  const half = SEGMENT_MESSAGES_MAX / 2;
  assert.deepEqual(sizes(shapesOf([1, 1, half + 1, 1, 1, 1]), 2), [2, 3]);
  assert.deepEqual(sizes(shapesOf([1, half, 1]), 2), [3]);
  const large = shapesOf(ones(5)).map((shape, index) =>
    index === 2 ? { ...shape, payloadBytes: SEGMENT_BYTES_TARGET / 2 + 1 } : shape,
  );
  assert.deepEqual(sizes(large, 2), [2, 2]);
});

test('a group has at most the messages and bytes of a segment', () => {
  const full = shapesOf(Array.from({ length: 9 }, () => 1_000));
  assert.deepEqual(sizes(full, 2), [4, 4]);
  const heavy = shapesOf(ones(9)).map((shape) => ({
    ...shape,
    payloadBytes: SEGMENT_BYTES_TARGET / 4,
  }));
  assert.deepEqual(sizes(heavy, 2), [4, 4]);
});
