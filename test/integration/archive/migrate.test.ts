import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ensureSchema, migrateToLatest, openDatabase } from '#archive/mod.ts';
import { createEmptyDatabase, createTestDatabase, execute } from '#test/support/postgres.ts';

function open(url: string): ReturnType<typeof openDatabase> {
  return openDatabase({
    url,
    poolConnectionsMax: 2,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
}

test('an empty database lacks the schema and gets it by migrating', async () => {
  await using empty = await createEmptyDatabase();
  await using opened = open(empty.url);
  await assert.rejects(ensureSchema(opened.database), { code: 'BACKCAST_SCHEMA_MISSING' });
  assert.deepEqual((await migrateToLatest({ url: empty.url })).applied, ['0001-archive']);
  await ensureSchema(opened.database);
});

test('migrating twice does nothing the second time', async () => {
  await using cloned = await createTestDatabase();
  assert.deepEqual((await migrateToLatest({ url: cloned.url })).applied, []);
});

test('of twenty migrators at once exactly one applies each migration and none fails', async () => {
  await using empty = await createEmptyDatabase();
  const runs = Array.from({ length: 20 }, () => migrateToLatest({ url: empty.url }));
  const applied = (await Promise.all(runs)).flatMap((result) => result.applied);
  assert.deepEqual(applied, ['0001-archive']);
});

test('migrating makes the partitions of today and the seven days after it', async () => {
  await using cloned = await createTestDatabase();
  const partitions = await execute(
    cloned.url,
    "SELECT 1 FROM pg_inherits WHERE inhparent = 'segments'::regclass",
  );
  assert.equal(partitions.length, 9, 'eight days and the default partition');
});
