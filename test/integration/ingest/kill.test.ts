// The archiver is killed amid traffic: while all is well, while the database is away, while the
// spool drains and while it starts. Afterwards everything is stored, nothing twice, in order, and
// each message is the one that was published. `node test/soak/kills.ts` does it 200 times.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTooSlow, summary } from '#test/support/figures.ts';
import { killRounds } from '#test/support/kill-rounds.ts';
import { inFull } from '#test/support/thoroughness.ts';

const ROUNDS = inFull(8, 4);
/** Draws each of the moments within four rounds. */
const SEED = 10;

test(`an archiver killed in ${ROUNDS} rounds amid traffic loses and doubles nothing`, async () => {
  const { killCount, messageCount, restarts } = await killRounds({
    rounds: ROUNDS,
    seed: SEED,
    messagesPerSec: 2_000,
  });
  assert.ok(killCount >= ROUNDS);
  assert.ok(!restarts.some((restart) => isTooSlow(restarts, restart)), summary(restarts));
  assert.ok(messageCount > 1_000 * ROUNDS);
});
