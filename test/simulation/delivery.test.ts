// Whole worlds of real publishers and receivers under seeded faults. Each seed draws its own mix; a
// failing one is named in the error and runs alone with `SEED=n node --test
// test/simulation/delivery.test.ts`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBelow } from '#base/mod.ts';
import { checkEvents, World } from '#sim/mod.ts';
import { type Ledger, publishBursts } from '#test/support/simulated-traffic.ts';
import { inFull } from '#test/support/thoroughness.ts';

const SEEDS = process.env['SEED'] === undefined ? inFull(150, 20) : 1;
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const LOSSES = [0, 0.01, 0.05, 0.1, 0.2, 0.3];

function runSeed(seed: number): string {
  const world = new World(seed, { loss: 0, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.1 });
  world.network.faults = {
    loss: LOSSES[randomBelow(world.random, LOSSES.length)] ?? 0,
    duplicate: world.random() < 0.5 ? world.random() * 0.5 : 0,
    delayMsMin: 0.1,
    delayMsMax: world.random() < 0.5 ? 0.2 : 4,
  };
  const ledger: Ledger = new Map();
  const receivers = [world.addReceiver(), world.addReceiver()];
  const firstSqn = seed % 2 === 0 ? 2 ** 32 - 5 : 0;
  const publishers = [0, 1, 2].map(() => world.addPublisher({ firstSqn }));
  const bytesMax = seed % 3 === 0 ? 9_000 : 600;
  publishBursts(world, publishers, ledger, { count: 900, bytesMax, pauseMsMax: 8 });
  for (const publisher of publishers) publisher.machine.close(world.nowMs);
  const isOver = () =>
    receivers.every(({ events }) => events.filter(({ kind }) => kind === 'closed').length === 3);
  world.run(world.nowMs + 90_000, isOver);
  for (const receiver of receivers) {
    const verdicts = checkEvents(receiver.events, ledger);
    for (const { session } of publishers) {
      const count = ledger.get(session)?.length ?? 0;
      const verdict = verdicts.get(session);
      if (count === 0) continue;
      assert.deepEqual(
        verdict,
        { firstSequence: 1, nextSequence: count + 1, delivered: count, lost: 0, closed: 'fin' },
        `seed ${seed}`,
      );
    }
  }
  const counters = [...publishers, ...receivers].map(({ machine }) => machine.counters);
  return JSON.stringify([world.nowMs, world.network.counters, counters]);
}

test(`${SEEDS} seeds: every message arrives once, in order, with its bytes`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
    try {
      runSeed(seed);
    } catch (error) {
      throw new Error(`seed ${seed} failed`, { cause: error });
    }
  }
});

test('the same seed gives the same run, to the last counter', () => {
  assert.equal(runSeed(17), runSeed(17));
  assert.notEqual(runSeed(17), runSeed(18));
});
