import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionStretches } from '#archive/session-stretches.ts';
import type { SessionId } from '#base/mod.ts';

const ONE = '0000000000000001' as SessionId;
const TWO = '0000000000000002' as SessionId;

function run(session: SessionId, firstSequence: number, lastSequence: number) {
  const length = lastSequence - firstSequence + 1;
  return { session, firstSequence, lastSequence, length };
}

function shown(...of: Parameters<typeof sessionStretches>): string[] {
  return sessionStretches(...of).map(({ session, first, last, isHealed }) => {
    return `${Number(session)}: ${first}-${last}${isHealed ? ' healed' : ''}`;
  });
}

test('runs that other sessions interrupt are one stretch', () => {
  assert.deepEqual(shown([run(ONE, 1, 3), run(TWO, 1, 1), run(ONE, 4, 9)], []), [
    '1: 1-9',
    '2: 1-1',
  ]);
});

test('a hole ends a stretch, since its sequences may turn up in another segment', () => {
  assert.deepEqual(shown([run(ONE, 1, 3), run(ONE, 5, 6)], []), ['1: 1-3', '1: 5-6']);
});

test('healed sequences have stretches of their own, also in the middle of a run', () => {
  const healed = [{ session: ONE, first: 4, last: 6 }];
  assert.deepEqual(shown([run(ONE, 4, 9)], healed), ['1: 4-6 healed', '1: 7-9']);
  assert.deepEqual(shown([run(ONE, 8, 9), run(ONE, 4, 7)], healed), ['1: 4-6 healed', '1: 7-9']);
  assert.deepEqual(shown([run(TWO, 4, 9)], healed), ['2: 4-9']);
});

test('healed sequences that follow each other are one stretch, whatever their order', () => {
  const healed = [
    { session: ONE, first: 7, last: 8 },
    { session: ONE, first: 4, last: 6 },
  ];
  assert.deepEqual(shown([run(ONE, 7, 8), run(ONE, 20, 21), run(ONE, 4, 6)], healed), [
    '1: 4-8 healed',
    '1: 20-21',
  ]);
});

test('a run that accounts for more than its messages reaches through its last number', () => {
  const runs = [{ ...run(ONE, 1, 5), length: 2 }, run(ONE, 6, 7)];
  assert.deepEqual(shown(runs, []), ['1: 1-7']);
});
