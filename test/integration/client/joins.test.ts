// Joins on real sockets while archiver, replay API, PostgreSQL and publishers are killed, stopped
// and restarted, a tenth of all packets is lost and readers are slow: no hole, nothing twice,
// nothing out of order; what is called lost is lost; nothing hangs. Two hundred of them:
// test/soak/joins.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJoins } from '#test/support/join-runs.ts';

const JOINS = 40;
const AT_ONCE = 8;

test(`${JOINS} joins on real sockets: each sequence once and in order, or lost`, async (t) => {
  const tally = await runJoins({ joins: JOINS, atOnce: AT_ONCE, seed: 7 });
  t.diagnostic(JSON.stringify(tally));
  const { stalls: _, silentMsMost: __, ...happened } = tally;
  for (const [name, count] of Object.entries(happened)) assert.ok(count > 0, `no ${name}`);
});
