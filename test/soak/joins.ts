// Two hundred joins on real sockets while everything around them is killed, stopped and restarted,
// and each of that has happened:
//
//   node test/soak/joins.ts [--joins 200] [--at-once 8] [--seed 1]

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJoins } from '#test/support/join-runs.ts';
import { soakOptions } from '#test/support/soak-options.ts';

const options = soakOptions('Joins a channel while everything around it fails.', {
  joins: [200, 'how many'],
  'at-once': [8, 'how many of them at the same time'],
  seed: [1, 'draws what they do'],
});

test(`${options.joins} joins`, async (t) => {
  const { joins, seed } = options;
  const onJoin = (line: string): void => t.diagnostic(line);
  const tally = await runJoins({ joins, atOnce: options['at-once'], seed, onJoin });
  t.diagnostic(JSON.stringify(tally));
  for (const [name, count] of Object.entries(tally)) assert.ok(count > 0, `no ${name}`);
});
