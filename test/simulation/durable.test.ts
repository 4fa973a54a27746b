// Durable publishing over a bad network: a publisher believes of the archive what is true, however
// acknowledgements are lost, repeated, overtaken and forged, and archivers crash.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DurableResult, runDurable } from '#sim/mod.ts';
import { inFull } from '#test/support/thoroughness.ts';

const SEEDS = inFull(300, 60);

test(`${SEEDS} seeds: what is acknowledged is archived, and what is lost is told`, (t) => {
  const sum = { archived: 0, lost: 0, unknown: 0, forged: 0 };
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const result = lived(seed);
    for (const key of Object.keys(sum) as (keyof DurableResult)[]) sum[key] += result[key];
  }
  t.diagnostic(JSON.stringify(sum));
  assert.ok(sum.archived > 0 && sum.lost > 0 && sum.forged > 0, 'the faults are what they claim');
});

function lived(seed: number): DurableResult {
  try {
    return runDurable(seed);
  } catch (error) {
    throw new Error(`seed ${seed} failed`, { cause: error });
  }
}
