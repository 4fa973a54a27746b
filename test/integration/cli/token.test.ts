// `token create`, `list`, `revoke` on a real PostgreSQL, and commands that show a token.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';
import { openControlledApi } from '#test/support/controlled-api.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { startReplayServer } from '#replay-api/mod.ts';

const TOKEN = /^bct_([a-z2-9]{12})\.[\w-]{43}\n$/;

test('a token is printed once, listed without its secret, and revoked by its id', async () => {
  await using database = await createTestDatabase();
  const env = { DATABASE_URL: database.url };
  const scopes = ['--scope', 'read:orders.*', '--scope', 'admin'];
  const expires = ['--expires', '2126-01-01T00:00:00Z'];
  const made = await runBackcast(['token', 'create', 'reports', ...scopes, ...expires], { env });
  assert.equal(made.end, 0, made.stderr);
  const [text, id] = TOKEN.exec(made.stdout) ?? [];
  assert.ok(text !== undefined, made.stdout);
  const secret = text.trim().split('.')[1];
  const stored = JSON.stringify(await execute(database.url, 'SELECT * FROM tokens'));
  assert.ok(!stored.includes(secret), 'the database does not have the secret');
  const table = await runBackcast(['token', 'list'], { env });
  assert.match(
    table.stdout,
    new RegExp(`^${id} +reports +valid .* 2126-.*read:orders\\.\\* admin$`, 'm'),
  );
  assert.ok(!table.stdout.includes(secret));
  const revoked = await runBackcast(['token', 'revoke', id], { env });
  assert.equal(revoked.end, 0, revoked.stderr);
  const json = await runBackcast(['token', 'list', '--json'], { env });
  const [listed] = JSON.parse(json.stdout) as Record<string, unknown>[];
  assert.deepEqual([listed['id'], listed['state']], [id, 'revoked']);
  assert.deepEqual(listed['scopes'], ['read:orders.*', 'admin']);
});

test('what is no scope, no name or no id is refused', async () => {
  await using database = await createTestDatabase();
  const env = { DATABASE_URL: database.url };
  const scope = ['--scope', 'read:*'];
  const wrong = [
    ['create', 'a'],
    ['create', 'a', '--scope', 'write:*'],
    ['create', ' ', ...scope],
    ['create', 'a\nb', ...scope],
    ['create', 'a', ...scope, '--expires', 'soon'],
  ];
  for (const args of wrong) {
    const { end, stdout } = await runBackcast(['token', ...args], { env });
    assert.deepEqual([end, stdout], [2, ''], args.join(' '));
  }
  const unknown = await runBackcast(['token', 'revoke', 'none'], { env });
  assert.equal(unknown.end, 1);
  assert.match(unknown.stderr, /\(BACKCAST_TOKEN_UNKNOWN\)\n$/);
  assert.deepEqual(await execute(database.url, 'SELECT 1 FROM tokens'), []);
});

test('a whole token can be revoked, and its secret is not repeated', async () => {
  await using database = await createTestDatabase();
  const env = { DATABASE_URL: database.url };
  const made = await runBackcast(['token', 'create', 'found', '--scope', 'admin'], { env });
  const text = made.stdout.trim();
  const revoked = await runBackcast(['token', 'revoke', text], { env });
  assert.deepEqual([revoked.end, revoked.stderr], [0, '']);
  const mistyped = text.replace('.', 'x.').slice(0, -4);
  const unknown = await runBackcast(['token', 'revoke', mistyped], { env });
  assert.equal(unknown.end, 1);
  assert.ok(!unknown.stderr.includes(mistyped.slice(-20)), unknown.stderr);
});

test('commands show the token of BACKCAST_TOKEN, and say so when it is missing', async () => {
  await using api = await openControlledApi();
  await api.addChannel({ name: 'orders', deliveries: [] });
  const token = await api.token('read:orders');
  await api.access.recheck(performance.now());
  const { opened: database, access } = api;
  const options = { database, logger: silentLogger, access, host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer(options);
  const env = { BACKCAST_API: server.url };
  const refused = await runBackcast(['channels'], { env });
  assert.equal(refused.end, 1);
  assert.match(refused.stderr, /BACKCAST_TOKEN.*\(BACKCAST_UNAUTHENTICATED\)\n$/);
  const shown = await runBackcast(['channels'], { env: { ...env, BACKCAST_TOKEN: token } });
  assert.deepEqual([shown.end, shown.stderr], [0, '']);
  assert.match(shown.stdout, /^orders /m);
});

test('a server for other hosts does not start before there is a token', async () => {
  await using database = await createTestDatabase();
  const env = { DATABASE_URL: database.url };
  const { end, stderr } = await runBackcast(['serve', '--host', '0.0.0.0', '--port', '0'], { env });
  assert.equal(end, 1);
  assert.match(stderr, /backcast token create.*\(BACKCAST_API_OPEN\)\n$/);
});
