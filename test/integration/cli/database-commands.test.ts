// `audit` and `migrate` on a real PostgreSQL, and what they say when there is none.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startEmbeddedPostgres } from '#archive/mod.ts';
import {
  archiveMessages,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
} from '#test/support/archive.ts';
import { runBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createEmptyDatabase, createTestDatabase, execute } from '#test/support/postgres.ts';

async function fillOrders(url: string): Promise<void> {
  await using opened = openTestDatabase(url);
  const place = { ...(await makeChannel(opened, 'orders')), expectedHead: 0 };
  await archiveMessages(url, place, messagesOf(SESSION_A, 1, 5), messagesOf(SESSION_A, 6, 5));
}

test('an archive that accounts for everything passes the audit', async () => {
  await using database = await createTestDatabase();
  await fillOrders(database.url);
  const env = { DATABASE_URL: database.url };
  const table = await runBackcast(['audit'], { env });
  assert.deepEqual([table.end, table.stderr], [0, '']);
  assert.match(table.stdout, /^orders +1 +10 +10 +0 +0 +0 +0 +complete$/m);
  const json = await runBackcast(['audit', 'orders', '--json'], { env });
  assert.equal(json.end, 0);
  const { complete, channels } = JSON.parse(json.stdout) as {
    complete: boolean;
    channels: { storedCount: number; problems: unknown[] }[];
  };
  assert.deepEqual([complete, channels[0].storedCount, channels[0].problems], [true, 10, []]);
});

test('a sequence that is not accounted for fails the audit with its exact range', async () => {
  await using database = await createTestDatabase();
  await fillOrders(database.url);
  await execute(database.url, 'DELETE FROM segments WHERE first_position = 6');
  const env = { DATABASE_URL: database.url };
  const table = await runBackcast(['audit'], { env });
  assert.equal(table.end, 1);
  assert.match(table.stdout, /^orders .* BROKEN$/m);
  assert.match(table.stdout, new RegExp(`^orders +${SESSION_A} +6 +10 +hole +Sequences`, 'm'));
  const json = await runBackcast(['audit', '--json'], { env });
  assert.equal(json.end, 1);
  assert.match(json.stdout, /"complete": false/);
});

test('what is to be done with a channel that is not there fails', async () => {
  await using database = await createTestDatabase();
  const env = { DATABASE_URL: database.url };
  for (const command of ['audit', 'compact', 'retention']) {
    const { end, stderr } = await runBackcast([command, 'no'], { env });
    assert.equal(end, 1, command);
    assert.match(stderr, /\(BACKCAST_CHANNEL_UNKNOWN\)\n$/);
  }
});

test('migrate brings an empty database to the schema, once', async () => {
  await using database = await createEmptyDatabase();
  const env = { DATABASE_URL: database.url };
  const before = await runBackcast(['audit'], { env });
  assert.equal(before.end, 1);
  assert.match(before.stderr, /backcast migrate.*\(BACKCAST_SCHEMA_MISSING\)\n$/);
  assert.match((await runBackcast(['migrate'], { env })).stderr, /^migrated: 0001/);
  assert.equal((await runBackcast(['migrate'], { env })).stderr, 'the schema is current\n');
  assert.equal((await runBackcast(['audit'], { env })).end, 0);
});

test('a database that is not there is one line without the password', async () => {
  const env = { DATABASE_URL: 'postgres://me:sesame@127.0.0.1:1/none' };
  for (const command of ['audit', 'migrate']) {
    const { end, stdout, stderr } = await runBackcast([command], { env });
    assert.deepEqual([end, stdout], [1, '']);
    assert.match(stderr, /^backcast: .*127\.0\.0\.1:1.*\(BACKCAST_DATABASE_UNREACHABLE\)\n$/);
    assert.doesNotMatch(stderr, /sesame/);
  }
});

test('a home that cannot be made is one line', async () => {
  await using folder = await createTestFolder();
  await writeFile(join(folder.path, 'file'), '');
  const { end, stderr } = await runBackcast(['migrate', '--home', join(folder.path, 'file/home')]);
  assert.equal(end, 1);
  assert.match(stderr, /^backcast: .*\(BACKCAST_HOME_UNUSABLE\)\n$/);
});

test('a command joins the embedded server that another process runs', async () => {
  await using folder = await createTestFolder();
  await using server = await startEmbeddedPostgres({ homeDir: folder.path });
  const migrated = await runBackcast(['migrate', '--home', folder.path]);
  assert.deepEqual([migrated.end, migrated.stderr], [0, 'migrated: 0001-archive\n']);
  await fillOrders(server.url);
  const { end, stdout } = await runBackcast(['audit', '--home', folder.path]);
  assert.equal(end, 0);
  assert.match(stdout, /^orders .* complete$/m);
});
