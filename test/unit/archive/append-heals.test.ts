import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tileLoss } from '#archive/append-heals.ts';

function shown(first: number, last: number, ...heals: readonly [number, number][]): string[] {
  const given = heals.map(([firstSequence, lastSequence]) => {
    return { firstSequence, lastSequence, by: 'other' };
  });
  return tileLoss(first, last, given).map((piece) => {
    const fate = piece.healedBy === null ? 'lost' : `healed by ${piece.healedBy}`;
    return `${piece.firstSequence}-${piece.lastSequence} ${fate}`;
  });
}

test('the pieces of a loss tile it, wherever the heal lies', () => {
  assert.deepEqual(shown(5, 9, [5, 9]), ['5-9 healed by other']);
  assert.deepEqual(shown(5, 9, [5, 6]), ['5-6 healed by other', '7-9 lost']);
  assert.deepEqual(shown(5, 9, [8, 9]), ['5-7 lost', '8-9 healed by other']);
  assert.deepEqual(shown(5, 9, [7, 7]), ['5-6 lost', '7-7 healed by other', '8-9 lost']);
});

test('what reaches beyond the loss heals only what is in it', () => {
  assert.deepEqual(shown(5, 9, [1, 6]), ['5-6 healed by other', '7-9 lost']);
  assert.deepEqual(shown(5, 9, [1, 20]), ['5-9 healed by other']);
  assert.deepEqual(shown(5, 9, [1, 4], [10, 20]), ['5-9 lost']);
});

test('several heals cut a loss in any order, and side by side without a piece between', () => {
  assert.deepEqual(shown(1, 9, [6, 7], [2, 3], [4, 4]), [
    '1-1 lost',
    '2-3 healed by other',
    '4-4 healed by other',
    '5-5 lost',
    '6-7 healed by other',
    '8-9 lost',
  ]);
});

test('heals that overlap each other are a bug', () => {
  assert.throws(
    () =>
      tileLoss(1, 9, [
        { firstSequence: 1, lastSequence: 4, by: 'a' },
        { firstSequence: 4, lastSequence: 5, by: 'b' },
      ]),
    /lie apart/,
  );
});
