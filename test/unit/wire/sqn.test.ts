import assert from 'node:assert/strict';
import test from 'node:test';
import { sqnDistance, unwrapSqn, wrapSqn } from '#multicast/wire/mod.ts';

const ROUND = 2 ** 32;

test('the distance between packet numbers is signed and wraps', () => {
  const rows: [ahead: number, behind: number, distance: number][] = [
    [5, 3, 2],
    [3, 5, -2],
    [7, 7, 0],
    [0, ROUND - 1, 1],
    [ROUND - 1, 0, -1],
    [2 ** 31 - 1, 0, 2 ** 31 - 1],
    [2 ** 31, 0, -(2 ** 31)],
  ];
  for (const [a, b, distance] of rows) assert.equal(sqnDistance(a, b), distance, `${a} − ${b}`);
});

test('a packet number unwraps to the nearest one', () => {
  const rows: [sqn: number, near: number, unwrapped: number][] = [
    [0, 0, 0],
    [1, ROUND, ROUND + 1],
    [ROUND - 1, ROUND, ROUND - 1],
    [0, ROUND - 1, ROUND],
    [2 ** 31, 5 * ROUND, 5 * ROUND - 2 ** 31],
    [2 ** 31 - 1, 5 * ROUND, 5 * ROUND + 2 ** 31 - 1],
    [7, 2 ** 21 * ROUND - ROUND + 9, 2 ** 21 * ROUND - ROUND + 7],
  ];
  for (const [sqn, near, unwrapped] of rows) assert.equal(unwrapSqn(sqn, near), unwrapped);
});

test('an unwrapped number is never outside 0 to 2^53 − 1', () => {
  assert.equal(unwrapSqn(ROUND - 1, 0), ROUND - 1);
  assert.equal(unwrapSqn(0, Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER + 1 - ROUND);
});

test('one round up, the packet before the first has a number', () => {
  const first = ROUND + 0;
  assert.equal(unwrapSqn(0xffff_ffff, first), first - 1);
});

test('wrapping undoes unwrapping', () => {
  for (const near of [0, 1, ROUND - 1, ROUND, 3 * ROUND + 17, Number.MAX_SAFE_INTEGER]) {
    for (const sqn of [0, 1, 2 ** 31 - 1, 2 ** 31, ROUND - 1]) {
      assert.equal(wrapSqn(unwrapSqn(sqn, near)), sqn);
    }
  }
});
