// Spreading an archive over a cluster, as far as a server that is none can tell: what would be
// done, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distributeArchive, planDistribution, releaseLease } from '#archive/mod.ts';
import {
  archiveMessages,
  makeChannel,
  messagesOf,
  openTestDatabase,
} from '#test/support/archive.ts';
import { SESSION_A } from '#test/support/archive.ts';
import { createEmptyDatabase, createTestDatabase, execute } from '#test/support/postgres.ts';

function distribute(url: string, isForced = false): Promise<unknown> {
  return distributeArchive({ url, isForced, onStep: () => undefined });
}

test('the plan cuts every table that has a channel_id, and no partition', async () => {
  await using cloned = await createTestDatabase();
  const tables = await execute(
    cloned.url,
    `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'channel_id'
       AND c.relname <> 'channels' AND c.relnamespace = 'public'::regnamespace ORDER BY 1`,
  );
  const steps = await planDistribution(cloned.url);
  const cut = steps.flatMap(({ statement }) => {
    return /create_distributed_table\('(\w+)'/.exec(statement)?.[1] ?? [];
  });
  assert.deepEqual(
    cut.toSorted(),
    tables.map((row) => row['name']),
  );
  assert.equal(cut[0], 'leases');
});

test('the plan has the functions that the view calls, and the view itself', async () => {
  await using cloned = await createTestDatabase();
  const statements = (await planDistribution(cloned.url)).map(({ statement }) => statement);
  const isDistributing = /^SELECT create_distributed_function\('expand_runs\(bigint\[\],.*\)'\)$/;
  assert.ok(statements.some((statement) => isDistributing.test(statement)));
  const [view] = statements.filter((statement) => statement.includes('VIEW messages'));
  await using opened = openTestDatabase(cloned.url);
  const place = { ...(await makeChannel(opened, 'orders')), expectedHead: 0 };
  await archiveMessages(cloned.url, place, messagesOf(SESSION_A, 1, 5));
  await execute(cloned.url, view);
  assert.equal((await execute(cloned.url, 'SELECT 1 FROM messages')).length, 5);
});

test('what would be done is told without doing it', async () => {
  await using cloned = await createTestDatabase();
  const first = await planDistribution(cloned.url, 16);
  assert.deepEqual(await planDistribution(cloned.url, 16), first);
});

test('a server without Citus is refused with what to do', async () => {
  await using cloned = await createTestDatabase();
  await assert.rejects(distribute(cloned.url), {
    code: 'BACKCAST_CITUS_MISSING',
    message: /CREATE EXTENSION citus/,
  });
});

test('an archive that is being written is refused unless that is forced', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const lease = await makeChannel(opened, 'orders');
  const refusal = { code: 'BACKCAST_LEASE_HELD', message: /test \(channels: 1\).*--force/ };
  await assert.rejects(distribute(cloned.url), refusal);
  await assert.rejects(distribute(cloned.url, true), { code: 'BACKCAST_CITUS_MISSING' });
  await releaseLease(opened.database, lease);
  await assert.rejects(distribute(cloned.url), { code: 'BACKCAST_CITUS_MISSING' });
});

test('a database without the schema is refused', async () => {
  await using empty = await createEmptyDatabase();
  await assert.rejects(distribute(empty.url), { code: 'BACKCAST_SCHEMA_MISSING' });
  await assert.rejects(planDistribution(empty.url), { code: 'BACKCAST_SCHEMA_MISSING' });
});
