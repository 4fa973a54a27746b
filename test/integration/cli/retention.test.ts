// `retention` and `hold` as an operator types them, on a real PostgreSQL.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatInstant } from '#base/mod.ts';
import { fillAged, makePastPartitions, startOfUs } from '#test/support/aged-archive.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { runBackcast } from '#test/support/cli.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

async function createAgedDatabase(): Promise<TestDatabase> {
  const created = await createTestDatabase();
  await using opened = openTestDatabase(created.url);
  await makePastPartitions(opened);
  await fillAged(created.url, 'orders', [7, 6, 0]);
  await fillAged(created.url, 'trades', [7, 5]);
  return created;
}

function dayText(daysAgo: number): string {
  return formatInstant(startOfUs(daysAgo)).slice(0, 10);
}

test('a dry run says what would go and what a hold keeps, and deletes nothing', async () => {
  await using database = await createAgedDatabase();
  const env = { DATABASE_URL: database.url, BACKCAST_RETENTION_AGE: '5d' };
  const from = formatInstant(startOfUs(7));
  const to = formatInstant(startOfUs(6));
  const limits = ['--from', from, '--to', to];
  const add = ['hold', 'add', 'orders', '--name', 'case-17', '--reason', 'a letter', ...limits];
  const added = await runBackcast(add, { env });
  assert.equal(added.end, 0);
  assert.match(added.stdout, /^orders +case-17 .* a letter$/m);
  assert.match(added.stderr, /hold added/);
  const dry = await runBackcast(['retention', '--dry-run'], { env });
  assert.deepEqual([dry.end, dry.stderr], [0, '']);
  assert.match(dry.stdout, new RegExp(`^orders +${dayText(7)} +10 +100 +age 5d +case-17$`, 'm'));
  assert.match(dry.stdout, new RegExp(`^orders +${dayText(6)} +10 +100 +age 5d +-$`, 'm'));
  assert.match(dry.stdout, new RegExp(`^trades +${dayText(7)} +10 +100 +age 5d +-$`, 'm'));
  assert.match(dry.stdout, /^20 messages, 200B, would go; 1 days are held$/m);
  const json = await runBackcast(['retention', 'trades', '--dry-run', '--age', '4d', '--json'], {
    env,
  });
  const rows = JSON.parse(json.stdout) as { day: string; policy: string; heldBy: string[] }[];
  assert.deepEqual(
    rows.map(({ day, policy, heldBy }) => [day, policy, heldBy]),
    [
      [dayText(7), 'age 4d', []],
      [dayText(5), 'age 4d', []],
    ],
  );
  const audit = await runBackcast(['audit'], { env });
  assert.match(audit.stdout, /^orders +1 +30 +30 +0 +0 +0 +0 +complete$/m);
});

test('retention deletes what is due and not held, and the audit stays content', async () => {
  await using database = await createAgedDatabase();
  const env = { DATABASE_URL: database.url, BACKCAST_RETENTION_AGE: '5d' };
  const hold = ['hold', 'add', 'trades', '--name', 'audit', '--reason', 'audit'];
  assert.equal((await runBackcast(hold, { env })).end, 0);
  const run = await runBackcast(['retention'], { env });
  assert.equal(run.end, 0);
  assert.match(run.stdout, /^20 messages, 200B, deleted; 1 whole days dropped; 1 days are held$/m);
  assert.match(run.stderr, new RegExp(`^${dayText(6)} of all channels: 10 messages`, 'm'));
  const audit = await runBackcast(['audit'], { env });
  assert.deepEqual([audit.end, audit.stderr], [0, '']);
  assert.match(audit.stdout, /^orders +1 +30 +10 +0 +20 +0 +0 +complete$/m);
  const listed = await runBackcast(['hold', 'list', '--json'], { env });
  const holds = JSON.parse(listed.stdout) as { channel: string; name: string; to: null }[];
  assert.deepEqual(
    holds.map(({ channel, name, to }) => [channel, name, to]),
    [['trades', 'audit', null]],
  );
  const unsure = await runBackcast(['hold', 'remove', 'trades', 'audit'], { env });
  assert.equal(unsure.end, 2);
  assert.match(unsure.stderr, /--yes/);
  const removed = await runBackcast(['hold', 'remove', 'trades', 'audit', '--yes'], { env });
  assert.equal(removed.end, 0);
  assert.match(removed.stderr, /hold removed/);
  assert.match((await runBackcast(['retention'], { env })).stdout, /^10 messages/);
});

test('without limits nothing goes, and what is wrong is told', async () => {
  await using database = await createAgedDatabase();
  const env = { DATABASE_URL: database.url };
  const run = await runBackcast(['retention'], { env });
  assert.deepEqual([run.end, run.stdout.split(',')[0]], [0, '0 messages']);
  assert.match(run.stderr, /everything is kept/);
  const unknown = await runBackcast(['retention', 'none'], { env });
  assert.equal(unknown.end, 1);
  assert.match(unknown.stderr, /BACKCAST_CHANNEL_UNKNOWN/);
  const wrong = await runBackcast(['retention', '--age', 'soon'], { env });
  assert.equal(wrong.end, 2);
  const unnamed = await runBackcast(['hold', 'add', 'orders', '--reason', 'x'], { env });
  assert.equal(unnamed.end, 2);
  const late = ['hold', 'add', 'orders', '--name', 'a', '--reason', 'x', '--to', 'tomorrow'];
  assert.equal((await runBackcast(late, { env })).end, 2);
});
