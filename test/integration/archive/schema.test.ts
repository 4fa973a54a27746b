// What the migrations make: that the committed picture of it is current, and that the rules hold
// under which the same tables can be spread over several servers by channel_id.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { describeSchema, migrateToLatest } from '#archive/mod.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { createEmptyDatabase, createTestDatabase, execute } from '#test/support/postgres.ts';

const OWN_TABLES = `
  c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition AND c.relname NOT LIKE 'kysely%'`;

async function namesWhere(query: string): Promise<unknown[]> {
  await using cloned = await createTestDatabase();
  return (await execute(cloned.url, query)).map((row) => row['name']);
}

test('archive/schema.sql is what the migrations make', async () => {
  await using migrated = await createEmptyDatabase('none');
  await using opened = openTestDatabase(migrated.url);
  const committed = await readFile(new URL(import.meta.resolve('#archive/schema.sql')), 'utf8');
  const written = committed.slice(committed.indexOf('CREATE TABLE'));
  assert.equal(written, await describeSchema(opened.database), 'run npm run schema');
});

test('every table but channels and tokens has channel_id int NOT NULL', async () => {
  const lacking = await namesWhere(`
    SELECT c.relname AS name FROM pg_class c WHERE ${OWN_TABLES}
      AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attname = 'channel_id' AND a.atttypid = 'int'::regtype AND a.attnotnull)`);
  assert.deepEqual(lacking, ['tokens']);
});

test('every primary key and unique constraint contains channel_id', async () => {
  const lacking = await namesWhere(`
    SELECT k.conname AS name FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE ${OWN_TABLES} AND k.contype IN ('p', 'u') AND NOT EXISTS (
      SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attname = 'channel_id' AND a.attnum = ANY (k.conkey))`);
  const names = lacking.map(String).toSorted((a, b) => a.localeCompare(b));
  assert.deepEqual(names, ['channels_name_unique', 'tokens_pk']);
});

test('only channels draws its key from a counter', async () => {
  const counted = await namesWhere(`
    SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE ${OWN_TABLES} AND a.attidentity <> ''`);
  assert.deepEqual(counted, ['channels']);
});

test('there are no triggers but those of foreign keys', async () => {
  const triggers = await namesWhere('SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal');
  assert.deepEqual(triggers, []);
});

test('no column draws its default from a sequence or from chance', async () => {
  const drawn = await namesWhere(`
    SELECT c.relname || '.' || a.attname AS name
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid
    JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE ${OWN_TABLES} AND pg_get_expr(d.adbin, d.adrelid) ~ 'nextval|random|clock_timestamp'`);
  assert.deepEqual(drawn, []);
});

test('every table has a primary key', async () => {
  const lacking = await namesWhere(`
    SELECT c.relname AS name FROM pg_class c WHERE ${OWN_TABLES} AND NOT EXISTS (
      SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')`);
  assert.deepEqual(lacking, []);
});

test('foreign keys go by channel_id to channels and nowhere else', async () => {
  const others = await namesWhere(`
    SELECT k.conname AS name FROM pg_constraint k
    WHERE k.contype = 'f' AND NOT (
      k.confrelid = 'channels'::regclass AND k.conrelid <> 'channels'::regclass
      AND k.conkey = ARRAY(SELECT a.attnum FROM pg_attribute a
                           WHERE a.attrelid = k.conrelid AND a.attname = 'channel_id'))`);
  assert.deepEqual(others, []);
});

test('every unique index that is no constraint contains channel_id', async () => {
  const lacking = await namesWhere(`
    SELECT x.relname AS name FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_class x ON x.oid = i.indexrelid
    WHERE ${OWN_TABLES} AND c.relname NOT IN ('channels', 'tokens') AND i.indisunique
      AND NOT EXISTS (
      SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attname = 'channel_id' AND a.attnum = ANY (i.indkey))`);
  assert.deepEqual(lacking, []);
});

test('tables are cut into partitions on one level, by range', async () => {
  const others = await namesWhere(`
    SELECT c.relname AS name FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid
    WHERE c.relispartition OR p.partstrat <> 'r'`);
  assert.deepEqual(others, []);
});

test('what views and functions of the schema call is not volatile', async () => {
  const volatile = await namesWhere(`
    SELECT proname AS name FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND provolatile = 'v'`);
  assert.deepEqual(volatile, []);
});

test('every constraint has a name that was given to it', async () => {
  const unnamed = await namesWhere(`
    SELECT k.conname AS name FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE ${OWN_TABLES} AND k.contype <> 'n'
      AND k.conname !~ ('^' || c.relname || '_([a-z]+_)?(pk|fk|check|unique)$')`);
  assert.deepEqual(unnamed, []);
});

const STORAGES = [
  { compression: 'none', storage: 'e', method: '' },
  { compression: 'pglz', storage: 'x', method: 'p' },
] as const;

for (const { compression, storage, method } of STORAGES) {
  test(`with compression ${compression} the arrays of every partition are stored so`, async () => {
    await using migrated = await createEmptyDatabase(compression);
    const columns = await execute(
      migrated.url,
      `SELECT DISTINCT a.attstorage::text AS storage, a.attcompression::text AS method
       FROM pg_attribute a JOIN pg_inherits i ON i.inhrelid = a.attrelid
       WHERE i.inhparent = 'segments'::regclass AND a.attname IN ('payload', 'published_at')`,
    );
    assert.deepEqual(columns, [{ storage, method }]);
  });
}

test('lz4 is used where the server has it and refused where not, never replaced', async () => {
  await using empty = await createEmptyDatabase();
  const has = await execute(
    empty.url,
    "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)",
  );
  const migrating = migrateToLatest({ url: empty.url, compression: 'lz4' });
  if (has.length === 0) {
    await assert.rejects(migrating, { code: 'BACKCAST_DATABASE_REFUSED', message: /lz4/ });
    const made = await execute(empty.url, "SELECT 1 FROM pg_class WHERE relname = 'segments'");
    assert.deepEqual(made, [], 'nothing is left half made');
  } else {
    await migrating;
    const columns = await execute(
      empty.url,
      `SELECT attcompression::text AS method FROM pg_attribute
       WHERE attrelid = 'segments'::regclass AND attname = 'payload'`,
    );
    assert.deepEqual(columns, [{ method: 'l' }]);
  }
});
