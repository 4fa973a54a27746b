// Kills the archiver under load at moments drawn by chance, again and again:
//
//   node test/soak/kills.ts [--rounds 200] [--seed 1] [--rate 4000]

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { isTooSlow, type Restart, summary } from '#test/support/figures.ts';
import { killRounds } from '#test/support/kill-rounds.ts';
import { soakOptions } from '#test/support/soak-options.ts';

const options = soakOptions('Kills an archiver under load at moments drawn by chance.', {
  rounds: [200, 'how often it is killed'],
  seed: [1, 'draws the moments'],
  rate: [4_000, 'messages a second'],
});
/** Rounds on one channel: the auditor reads all of it after each. */
const ROUNDS_OF_A_CHANNEL = 20;

const restarts: Restart[] = [];
let killCount = 0;
let messageCount = 0;

test('an archiver killed at any moment', async (t) => {
  for (let done = 0; done < options.rounds; done += ROUNDS_OF_A_CHANNEL) {
    const rounds = Math.min(ROUNDS_OF_A_CHANNEL, options.rounds - done);
    const seed = options.seed + done;
    await t.test(`${rounds} rounds of seed ${seed}`, async (part) => {
      const messagesPerSec = options.rate;
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
