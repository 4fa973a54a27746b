// Recovering subscribers in the simulated world: joins anywhere while packets are lost, publishers
// and recorders restart, commits are slow, the archive is away and readers stop. No hole, nothing
// twice, nothing out of order; what is told as lost is lost in the archive as well.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JoinsResult, runJoins } from '#sim/mod.ts';
import { inFull } from '#test/support/thoroughness.ts';

const SEEDS = inFull(200, 16);
const JOINS_PER_SEED = 50;

test(`${SEEDS * JOINS_PER_SEED} joins: each sequence once and in order, or lost for all`, (t) => {
  const sums = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    for (const [name, count] of Object.entries(joined(seed)))
      sums.set(name, (sums.get(name) ?? 0) + count);
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(sums)));
  for (const [name, count] of sums)
    assert.ok(count > 0 || (name === 'stalls' && inFull(false, true)), `${name} never happened`);
});

/** Seeds that would find again a bug that was there once, each with what it was. */
const NAMED_SEEDS: readonly (readonly [number, string])[] = [
  [5, 'what a slow reader let go of a session that then fell silent was never fetched'],
];

for (const [seed, story] of NAMED_SEEDS) {
  test(`seed ${seed} stays mended: ${story}`, () => {
    assert.equal(joined(seed).joins, JOINS_PER_SEED);
  });
}

function joined(seed: number): JoinsResult {
  try {
    return runJoins(seed, JOINS_PER_SEED);
  } catch (error) {
    throw new Error(`seed ${seed} failed`, { cause: error });
  }
}
