// The simulated world as a stage for stories.

import { assert } from '#base/mod.ts';
import type { Scenario, Stage } from './scenario.ts';
import { World } from './world.ts';

/** Times of receivers in stories, also on other stages: a crash is to be over soon. */
export const STAGE_TIMES = {
  repairTimeoutMs: 10_000,
  sourceExpiryMs: 2_500,
  lingerMs: 2_000,
} as const;

const STORY_MS_MAX = 60_000;

/** A world of `seed` with the loss of `scenario`. */
export function simulatedStage(scenario: Scenario, seed: number): Stage {
  const { loss, windowPackets, messageBytesMax } = scenario;
  const { repairTimeoutMs, sourceExpiryMs, lingerMs } = STAGE_TIMES;
  const world = new World(seed, { loss, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.3 });
  return {
    addPublisher: async () => {
      const publisher = world.addPublisher({ windowPackets, messageBytesMax, lingerMs });
      const { machine, session, node } = publisher;
      return {
        session,
        publish: (payload) =>
          machine.publish(payload, world.wallClockUs, world.nowMs) === 'accepted',
        end: () => machine.close(world.nowMs),
        crash: () => world.stop(node),
      };
    },
    addReceiver: async (options, resume) => {
      const times = { repairTimeoutMs, sourceExpiryMs };
      const receiver = world.addReceiver({ ...times, ...options }, resume);
      const { events, node, machine } = receiver;
      const repairs = (): number => machine.counters.repairsReceived;
      return { events, repairs, crash: () => world.stop(node) };
    },
    pass: async (ms) => world.run(world.nowMs + ms),
    until: async (isDone) => {
      world.run(world.nowMs + STORY_MS_MAX, isDone);
      assert(isDone(), 'the story does not end');
    },
  };
}
