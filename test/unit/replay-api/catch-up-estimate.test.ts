// Estimates of how long catching up takes, from what was taken and what came meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimateOf } from '#replay-api/catch-up-estimate.ts';

const START = { nowMs: 1_000, archivedThrough: 10_000, isOpenEnded: true };

test('nothing is known of rates before a quarter of a second', () => {
  const progress = { nowMs: 1_249, count: 100, remaining: 9_900, head: 10_000 };
  assert.deepEqual(estimateOf(START, progress), {
    kind: 'estimate',
    remaining: 9_900,
    rate: null,
    liveRate: null,
    etaSeconds: null,
    isCatchingUp: true,
  });
});

test('what is archived meanwhile has to be caught up with as well', () => {
  const progress = { nowMs: 3_000, count: 4_000, remaining: 6_000, head: 12_000 };
  assert.deepEqual(estimateOf(START, progress), {
    kind: 'estimate',
    remaining: 6_000,
    rate: 2_000,
    liveRate: 1_000,
    etaSeconds: 8,
    isCatchingUp: true,
  });
});

test('a reader that takes less than what comes is told that he never arrives', () => {
  const progress = { nowMs: 2_000, count: 100, remaining: 9_900, head: 10_100 };
  const { etaSeconds, isCatchingUp } = estimateOf(START, progress);
  assert.deepEqual([etaSeconds, isCatchingUp], [null, false]);
});

test('what is archived later does not concern who reads up to a bound', () => {
  const progress = { nowMs: 2_000, count: 100, remaining: 200, head: 90_000 };
  const { etaSeconds, isCatchingUp } = estimateOf({ ...START, isOpenEnded: false }, progress);
  assert.deepEqual([etaSeconds, isCatchingUp], [2, true]);
});

test('who has everything has arrived', () => {
  const progress = { nowMs: 2_000, count: 0, remaining: 0, head: 10_000 };
  const { etaSeconds, isCatchingUp } = estimateOf(START, progress);
  assert.deepEqual([etaSeconds, isCatchingUp], [0, true]);
});
