// PgBouncer between us and the server, as it is often configured. Batches need no session and go
// through; an archiver, whose name is a lock of its session, is told at its start.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, claimArchiverName, findChannel, openReading } from '#archive/mod.ts';
import {
  archiveMessages,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
} from '#test/support/archive.ts';
import { startPooler } from '#test/support/pgbouncer.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

const IGNORED = { ignore_startup_parameters: 'statement_timeout' };

test('batches and reads go through a pooler that lends connections by transaction', async () => {
  await using cloned = await createTestDatabase();
  await using pooler = await startPooler(cloned.url, { pool_mode: 'transaction', ...IGNORED });
  await using opened = openTestDatabase(pooler.url);
  const place = await makeChannel(opened, 'orders');
  await archiveMessages(pooler.url, { ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 50));
  const [orders] = await audit(opened.database);
  assert.deepEqual([orders.storedCount, orders.problems], [50, []]);
  const channel = await findChannel(opened.database, 'orders');
  const request = {
    kind: 'sequences',
    session: SESSION_A,
    first: 3,
    last: 9,
    order: 'asc',
  } as const;
  const reading = await openReading(opened, channel, request);
  assert.equal((await reading.nextPage(100)).messageCount, 7);
});

test('an archiver is refused by a pooler that lends connections by transaction', async () => {
  await using cloned = await createTestDatabase();
  await using pooler = await startPooler(cloned.url, { pool_mode: 'transaction', ...IGNORED });
  await assert.rejects(claimArchiverName(pooler.url, 'pooled'), {
    code: 'BACKCAST_POOLER_UNFIT',
    message: /pool_mode = session/,
  });
});

test('a pooler that refuses our settings is told from a server that is away', async () => {
  await using cloned = await createTestDatabase();
  await using pooler = await startPooler(cloned.url, { pool_mode: 'session' });
  await assert.rejects(claimArchiverName(pooler.url, 'pooled'), {
    code: 'BACKCAST_POOLER_UNFIT',
    message: /statement_timeout/,
  });
});

test('a pooler that keeps sessions is as good as the server', async () => {
  await using cloned = await createTestDatabase();
  await using pooler = await startPooler(cloned.url, { pool_mode: 'session', ...IGNORED });
  await using _name = await claimArchiverName(pooler.url, 'pooled');
  await assert.rejects(claimArchiverName(pooler.url, 'pooled'), { code: 'BACKCAST_LEASE_HELD' });
});
