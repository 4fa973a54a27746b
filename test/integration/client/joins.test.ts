// Joins on real sockets while archiver, replay API, PostgreSQL and publishers are killed, stopped
// and restarted, a tenth of all packets is lost and readers are slow: no hole, nothing twice,
// nothing out of order; what is called lost is lost; nothing hangs. Two hundred of them, and
// whether everything has happened: test/soak/joins.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runJoins } from '#test/support/join-runs.ts';
import { inFull } from '#test/support/thoroughness.ts';

const JOINS = inFull(24, 12);
const AT_ONCE = 8;

test(`${JOINS} joins on real sockets: each sequence once and in order, or lost`, async (t) => {
  const tally = await runJoins({ joins: JOINS, atOnce: AT_ONCE, seed: 7 });
  t.diagnostic(JSON.stringify(tally));
  const { replayed, repaired, restarts, publisherRestarts, databaseFreezes, slowCommits } = tally;
  const { publisherKills, archiverKills, apiKills } = tally;
  assert.ok(replayed > 0 && repaired > 0 && restarts > 0);
  assert.ok(publisherRestarts + publisherKills > 0, 'no publisher ended');
  assert.ok(archiverKills + apiKills + databaseFreezes + slowCommits > 0, 'no archive was away');
});
