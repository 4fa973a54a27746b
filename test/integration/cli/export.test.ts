// `backcast export` and `backcast verify` as a person calls them.

import assert from 'node:assert/strict';
import { appendFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';
import { fillChannel } from '#test/support/filled-archive.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { tradedChannel } from '#test/support/traded-channel.ts';

test('an export is made, verified, found spoilt', async () => {
  await using database = await createTestDatabase();
  await using home = await createTestFolder();
  await fillChannel(database.url, tradedChannel('trades', 1));
  const env = { DATABASE_URL: database.url };
  const surroundings = { env, cwd: home.path };
  const made = await runBackcast(
    ['export', 'trades', '--format', 'parquet', '--out', 'trades', '--json'],
    surroundings,
  );
  assert.deepEqual([made.end, made.stderr], [0, '']);
  const manifest = JSON.parse(made.stdout) as { sha256: string; messages: { count: number } };
  const again = await runBackcast(
    ['export', 'trades', '--format', 'parquet', '--out', 'trades'],
    surroundings,
  );
  assert.equal(again.end, 0);
  assert.match(again.stdout, new RegExp(`^trades: ${manifest.messages.count} messages of 3 sess`));
  assert.match(again.stdout, new RegExp(`SHA-256 of the manifest: ${manifest.sha256}\n$`));
  const noted = await execute(
    database.url,
    'SELECT operation, who, outcome, request, message_count FROM accesses ORDER BY started_at',
  );
  const [first, second] = noted;
  assert.match(String(first['who']), /^command:./);
  assert.deepEqual(
    [first['operation'], first['outcome'], first['request'], Number(first['message_count'])],
    ['backcast export', 'complete', 'format=parquet', manifest.messages.count],
  );
  assert.equal(Number(second['message_count']), 0, 'a finished export is not read again');
  const offline = { env: {}, cwd: home.path };
  const digest = ['--digest', manifest.sha256];
  const verified = await runBackcast(['verify', 'trades', ...digest], offline);
  assert.equal(verified.end, 0);
  assert.match(verified.stdout, /^trades: intact, \d+ messages of channel trades in 1 files\n/);
  await appendFile(join(home.path, 'trades', 'messages-000001.parquet'), 'x');
  const spoilt = await runBackcast(['verify', 'trades', '--json'], offline);
  assert.equal(spoilt.end, 1);
  const { intact, problems } = JSON.parse(spoilt.stdout) as { intact: boolean; problems: object[] };
  assert.equal(intact, false);
  assert.equal(problems.length, 1);
  const table = await runBackcast(['verify', 'trades'], offline);
  assert.match(table.stdout, /messages-000001\.parquet +it has \d+ bytes, not \d+\n/);
});

test('what is wrong with the arguments is told before there is a folder', async () => {
  await using home = await createTestFolder();
  for (const [args, words] of [
    [['--from', 'noon'], '"from" is "noon"'],
    [['--after', '9', '--before', '3'], '"after" lies behind "before"'],
    [['--session', 'x'], '"session" is "x"'],
    [['--format', 'xml'], 'xml'],
    [['--part-messages', '0'], 'part-messages'],
  ] as const) {
    const { end, stderr } = await runBackcast(['export', 'trades', '--out', 'out', ...args], {
      cwd: home.path,
    });
    assert.equal(end, 2, stderr);
    assert.ok(stderr.includes(words), stderr);
  }
  const without = await runBackcast(['export', 'trades'], { cwd: home.path });
  assert.equal(without.end, 2);
  assert.deepEqual(await readdir(home.path), []);
});
