// How far a replica is behind, also when it stood still for longer than marks are kept one by one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplicaMarks } from '#archive/replica-marks.ts';

const SECOND_MS = 1_000;

/** A primary that writes and is looked at once a second, from 1 on. */
function markedFor(seconds: number): ReplicaMarks {
  const marks = new ReplicaMarks();
  for (let second = 1; second <= seconds; second += 1)
    marks.add(BigInt(second), second * SECOND_MS);
  return marks;
}

test('a replica that has everything is not behind', () => {
  const marks = markedFor(3);
  marks.replayed(3n);
  assert.equal(marks.behindMs(10 * SECOND_MS), 0);
});

test('a replica is behind by the age of the oldest mark that it lacks', () => {
  const marks = markedFor(5);
  marks.replayed(2n);
  assert.equal(marks.behindMs(10 * SECOND_MS), 7 * SECOND_MS);
});

test('a primary at rest makes no replica late', () => {
  const marks = new ReplicaMarks();
  marks.add(1n, SECOND_MS);
  marks.replayed(1n);
  marks.add(1n, 9 * SECOND_MS);
  marks.replayed(1n);
  assert.equal(marks.behindMs(9 * SECOND_MS), 0);
});

test('a replica that stood still for hours is never taken for nearer than it is', () => {
  const hours = 3 * 3_600;
  const marks = markedFor(hours);
  const behindMs = (): number => marks.behindMs(hours * SECOND_MS);
  assert.equal(behindMs(), (hours - 1) * SECOND_MS);
  for (let replayed = 1; replayed < hours; replayed += 1) {
    marks.replayed(BigInt(replayed));
    const trueMs = (hours - replayed - 1) * SECOND_MS;
    assert.ok(behindMs() >= trueMs, `behind by ${trueMs} ms at least`);
    if (replayed > hours - 500) assert.ok(behindMs() <= trueMs + SECOND_MS, 'near the end, exact');
  }
  marks.replayed(BigInt(hours));
  assert.equal(behindMs(), 0);
});
