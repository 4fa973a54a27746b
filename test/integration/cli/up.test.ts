// `backcast up` as a newcomer meets it: it starts, it says where it is, it keeps what it has, and
// it stops.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { archivedThrough, startUp, stopUp } from '#test/support/running-up.ts';

test('up --demo shows live traffic, keeps it over a restart, and stops within 5 s', async () => {
  await using folder = await createTestFolder();
  const home = join(folder.path, 'home');
  const first = await startUp(home);
  await archivedThrough(first.api, 'demo.orders', 10);
  await archivedThrough(first.api, 'demo.chat', 5);
  const history = await runBackcast(['history', 'demo.orders', '--limit', '3'], {
    env: { BACKCAST_API: first.api },
  });
  assert.equal(history.end, 0, history.stderr);
  assert.equal(history.stdout.split('\n').length, 5);
  const audit = await runBackcast(['audit', '--home', home]);
  assert.deepEqual([audit.end, audit.stderr], [0, '']);
  await stopUp(first);
  const second = await startUp(home);
  const kept = await archivedThrough(second.api, 'demo.orders', 11);
  assert.ok(kept >= 11);
  await stopUp(second);
});

test('what is published by hand is archived and comes back byte for byte', async () => {
  await using folder = await createTestFolder();
  const home = join(folder.path, 'home');
  const running = await startUp(home, []);
  const publish = await runBackcast(['publish', 'tour', '--home', home, '--source', 'me'], {
    input: 'first\n\nthird ünï\n',
  });
  assert.equal(publish.end, 0, publish.stderr);
  assert.match(publish.stderr, /^published 3 messages to tour, session [0-7][0-9a-f]{15}\n$/);
  await archivedThrough(running.api, 'tour', 3);
  const history = await runBackcast(['history', 'tour'], { env: { BACKCAST_API: running.api } });
  const items = history.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { payload: string });
  assert.deepEqual(
    items.slice(0, -1).map(({ payload }) => payload),
    ['first', '', 'third ünï'],
  );
  await stopUp(running);
});

test('subscribe hears live what publish says, without any registry', async () => {
  const address = ['--group', '239.255.77.7:37707', '--dport', '7777'];
  const subscribe = startBackcast(['subscribe', 'live', ...address, '--count', '3']);
  const heard = text(subscribe.stdout);
  await once(createInterface(subscribe.stderr), 'line');
  const publish = await runBackcast([
    'publish',
    'live',
    ...address,
    '--count',
    '3',
    '--size',
    '50',
  ]);
  assert.equal(publish.end, 0, publish.stderr);
  const messages = (await heard)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; sequence: number; payload: string })
    .filter(({ kind }) => kind === 'message');
  assert.deepEqual(
    messages.map(({ sequence }) => sequence),
    [1, 2, 3],
  );
  assert.ok(messages.every(({ payload }) => payload.length === 50));
});

test('a second archiver of the same name is refused, and the first goes on', async () => {
  await using folder = await createTestFolder();
  const home = join(folder.path, 'home');
  const first = await startUp(home);
  const second = await runBackcast(['archive', '--home', home]);
  assert.equal(second.end, 1);
  assert.match(second.stderr, /^backcast: an archiver named .* \(BACKCAST_LEASE_HELD\)\n$/m);
  const before = await archivedThrough(first.api, 'demo.orders', 1);
  await archivedThrough(first.api, 'demo.orders', before + 10);
  await stopUp(first);
});

test('a port in use is one clear line, and nothing is left behind', async () => {
  await using folder = await createTestFolder();
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as { port: number };
  const home = join(folder.path, 'home');
  const up = await runBackcast(['up', '--home', home, '--port', String(port)]);
  blocker.close();
  assert.equal(up.end, 1);
  const complaints = up.stderr.split('\n').filter((line) => line.startsWith('backcast:'));
  assert.equal(complaints.length, 1);
  assert.match(complaints[0] ?? '', new RegExp(`${port}.*\\(BACKCAST_PORT_IN_USE\\)$`));
  const again = await startUp(home, []);
  await stopUp(again);
});

test('an interface that is none is one clear line that names the usable ones', async () => {
  await using database = await createTestDatabase();
  await using folder = await createTestFolder();
  const args = ['--home', folder.path, '--interface', '203.0.113.9', '--count', '1'];
  const publish = await runBackcast(['publish', 'x', ...args]);
  assert.equal(publish.end, 1);
  assert.match(
    publish.stderr,
    /^backcast: .*203\.0\.113\.9.*127\.0\.0\.1.*INTERFACE_UNUSABLE\)\n$/,
  );
  const archive = await runBackcast(
    ['archive', '--home', folder.path, '--interface', '203.0.113.9'],
    { env: { DATABASE_URL: database.url } },
  );
  assert.equal(archive.end, 1);
  assert.match(archive.stderr, /INTERFACE_UNUSABLE\)\n$/);
});
