// Kills the archiver under load at moments drawn by chance, again and again:
//
//   node test/soak/kills.ts [--rounds 200] [--seed 1] [--rate 4000]

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect, parseArgs } from 'node:util';
import { isTooSlow, type Restart, summary } from '#test/support/figures.ts';
import { killRounds } from '#test/support/kill-rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '4000' },
  },
});
/** Rounds on one channel: the auditor reads all of it after each. */
const ROUNDS_OF_A_CHANNEL = 20;

const restarts: Restart[] = [];
let killCount = 0;
let messageCount = 0;

test('an archiver killed at any moment', async (t) => {
  for (let done = 0; done < Number(values.rounds); done += ROUNDS_OF_A_CHANNEL) {
    const rounds = Math.min(ROUNDS_OF_A_CHANNEL, Number(values.rounds) - done);
    const seed = Number(values.seed) + done;
    await t.test(`${rounds} rounds of seed ${seed}`, async (part) => {
      const messagesPerSec = Number(values.rate);
      const onRound = (line: string): void => part.diagnostic(line);
      const result = await killRounds({ rounds, seed, messagesPerSec, onRound }).catch((error) => {
        // What has gone wrong is told at once: the end may be far.
        part.diagnostic(inspect(error));
        throw error;
      });
      restarts.push(...result.restarts);
      killCount += result.killCount;
      messageCount += result.messageCount;
    });
  }
  t.diagnostic(`${killCount} kills, ${messageCount} messages`);
  t.diagnostic(summary(restarts));
  assert.ok(!restarts.some((restart) => isTooSlow(restarts, restart)));
});
