// Catching up against a naive model: publishers, a lossy live stream, an archive that lags, loses,
// heals and deletes, requests that fail half-way, readers that stop reading and come back from
// their cursor; each step drawn. Whatever comes in whatever order: every sequence is told once, in
// order, as what was published, or as lost where nobody has it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RecoveryRun } from '#test/support/recovery-run.ts';
import { inFull } from '#test/support/thoroughness.ts';

const RUNS = inFull(20_000, 1_500);
const SEED = fc.integer({ min: 0, max: 2 ** 31 });

for (const begin of ['start', 'live', 'position'] as const) {
  for (const hasMulticast of [true, false]) {
    const how = hasMulticast ? 'with multicast' : 'without multicast';
    test(`from ${begin}, ${how}: each sequence once, in order, or lost`, () => {
      fc.assert(
        fc.property(SEED, fc.integer({ min: 20, max: 400 }), (seed, steps) => {
          const run = new RecoveryRun({ seed, begin, hasMulticast, hasArchive: true });
          for (let step = 0; step < steps; step += 1) run.step();
          run.settle();
        }),
        { numRuns: RUNS },
      );
    });
  }
}

test('without an archive: each sequence once, in order, or lost at once', () => {
  fc.assert(
    fc.property(SEED, fc.integer({ min: 20, max: 400 }), (seed, steps) => {
      const run = new RecoveryRun({ seed, begin: 'live', hasMulticast: true, hasArchive: false });
      for (let step = 0; step < steps; step += 1) run.step();
      run.settle();
    }),
    { numRuns: RUNS },
  );
});

test('the faults of the model really happen', () => {
  const happened = new Map<string, number>();
  for (let seed = 1; seed <= 300; seed += 1) {
    const run = new RecoveryRun({ seed, begin: 'start', hasMulticast: true, hasArchive: true });
    for (let step = 0; step < 300; step += 1) run.step();
    run.settle();
    for (const [name, count] of run.happened) happened.set(name, (happened.get(name) ?? 0) + count);
  }
  for (const name of [
    'restart',
    'fallback',
    'fetch',
    'failure',
    'heal',
    'deletion',
    'lost',
    'slid',
  ])
    assert.ok((happened.get(name) ?? 0) > 0, `${name} never happened`);
});
