// The stories on the simulated stage; on real sockets: test/integration/sim.

import { test } from 'node:test';
import { playScenario, SCENARIOS, simulatedStage } from '#sim/mod.ts';

const SEEDS = 3;

for (const scenario of SCENARIOS) {
  test(scenario.name, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        await playScenario(scenario, simulatedStage(scenario, seed));
      } catch (error) {
        throw new Error(`seed ${seed} failed`, { cause: error });
      }
    }
  });
}
