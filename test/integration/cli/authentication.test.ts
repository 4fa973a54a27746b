// Authentication as users meet it: a key, a channel, an error that says what to do; and no command
// ever prints a key.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { parseKeys } from '#multicast/udp/mod.ts';
import { type CommandEnd, endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { NEW_KEY, OLD_KEY } from '#test/support/sealed-packets.ts';
import { until } from '#test/support/until.ts';

interface Place extends AsyncDisposable {
  readonly folder: string;
  readonly keysFile: string;
  /** Arguments that name a channel which requires authentication. */
  readonly channel: readonly string[];
}

async function reservePlace(keys: string): Promise<Place> {
  const resources = new AsyncDisposableStack();
  const { path: folder } = resources.use(await createTestFolder());
  const { group, port } = resources.use(await reserveGroup());
  const keysFile = join(folder, 'keys');
  await writeFile(keysFile, keys, { mode: 0o600 });
  const config = join(folder, 'backcast.yaml');
  await writeFile(config, 'publisher: { lingerMs: 50 }\n');
  const address = ['--group', `${group}:${port}`, '--authentication', 'required'];
  const channel = ['secrets', '--config', config, ...address];
  return { folder, keysFile, channel, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Every form of the keys in which one could get out. */
function formsOf(...lines: readonly string[]): string[] {
  const secrets = lines.flatMap((line) => parseKeys(line, 'test')).map(({ secret }) => secret);
  return secrets.flatMap((secret) => {
    const bytes = Buffer.from(secret);
    const texts = [bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')];
    return texts.map((form) => form.slice(0, 12));
  });
}

function assertNoKey(printed: string, ...lines: readonly string[]): void {
  for (const form of formsOf(...lines)) assert.ok(!printed.includes(form), printed);
}

function printedBy({ stdout, stderr }: CommandEnd): string {
  return stdout + stderr;
}

test('a key that was generated opens a channel, from a file and the environment', async () => {
  const { stdout: line, end } = await runBackcast(['keys', 'generate']);
  assert.deepEqual([end, parseKeys(line, 'output').length], [0, 1]);
  await using place = await reservePlace(line);
  const subscribe = startBackcast(['subscribe', ...place.channel, '--count', '2'], {
    env: { BACKCAST_AUTH_KEYS: line.trim() },
  });
  const heard = text(subscribe.stdout);
  const [first] = (await once(subscribe.stderr, 'data')) as [Buffer];
  const publish = await runBackcast(['publish', ...place.channel], {
    env: { BACKCAST_AUTH_KEYS_FILE: place.keysFile },
    input: 'one\ntwo\n',
  });
  assert.equal(publish.end, 0, publish.stderr);
  assert.match(await heard, /"payload":"one".*\n.*"payload":"two"/);
  assertNoKey(printedBy(publish) + first.toString(), line);
});

test('who has no key or another one is told, hears nothing, and is counted', async () => {
  await using place = await reservePlace(OLD_KEY);
  for (const command of ['publish', 'subscribe']) {
    const refused = await runBackcast([command, ...place.channel]);
    assert.equal(refused.end, 1);
    assert.match(refused.stderr, /requires authentication.*keysFile.*\(BACKCAST_KEYS_MISSING\)$/m);
  }
  const subscribe = startBackcast(['subscribe', ...place.channel], {
    env: { BACKCAST_AUTH_KEYS_FILE: place.keysFile },
  });
  const notes = createInterface(subscribe.stderr)[Symbol.asyncIterator]();
  await notes.next();
  const stdout = text(subscribe.stdout);
  const publish = await runBackcast(['publish', ...place.channel], {
    env: { BACKCAST_AUTH_KEYS: NEW_KEY },
    input: 'believe me\n',
  });
  assert.equal(publish.end, 0, publish.stderr);
  const { value: note } = await notes.next();
  assert.match(String(note), /^authentication: packets dropped: 0 without a tag, \d+ with an unkn/);
  subscribe.kill('SIGTERM');
  assert.equal(await stdout, '');
  assertNoKey(printedBy(publish) + note, OLD_KEY, NEW_KEY);
});

test('keys that cannot be used are refused without being shown', async () => {
  await using place = await reservePlace(OLD_KEY);
  const secret = OLD_KEY.slice(2);
  await chmod(place.keysFile, 0o644);
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ BACKCAST_AUTH_KEYS_FILE: place.keysFile }, /chmod o-rw .*keys \(BACKCAST_KEYS_INVALID\)/],
    [{ BACKCAST_AUTH_KEYS_FILE: '/nowhere' }, /\/nowhere cannot be read.*BACKCAST_KEYS_INVALID/],
    [{ BACKCAST_AUTH_KEYS: secret }, /BACKCAST_AUTH_KEYS, line 1: .*BACKCAST_KEYS_INVALID/],
    [{ BACKCAST_AUTH_KEYS: `k1:${secret}` }, /it is not a key id.*BACKCAST_KEYS_INVALID/],
    [{ BACKCAST_AUTH_KEYS: `1:${secret},1:${secret}` }, /stands there twice/],
    [
      { BACKCAST_AUTH_KEYS: OLD_KEY, BACKCAST_AUTH_KEYS_FILE: place.keysFile },
      /both .*authentication\.keysFile.* are given.*BACKCAST_CONFIG_INVALID/,
    ],
  ];
  for (const [index, [env, problem]] of cases.entries()) {
    const command = index % 2 === 0 ? 'publish' : 'subscribe';
    const refused = await runBackcast([command, ...place.channel, '--verbose'], { env });
    assert.match(refused.stderr, problem);
    assertNoKey(printedBy(refused), OLD_KEY);
  }
});

test('a channel of the registry keeps that it requires authentication', async () => {
  await using place = await reservePlace(OLD_KEY);
  const env = { BACKCAST_AUTH_KEYS_FILE: place.keysFile, BACKCAST_HOME: place.folder };
  const publish = (...args: string[]): Promise<CommandEnd> =>
    runBackcast(['publish', ...args], { env, input: '' });
  assert.equal((await publish('asked', '--authentication', 'required')).end, 0);
  const conflict = await publish('asked', '--authentication', 'off');
  assert.match(conflict.stderr, /"asked" is registered with authentication required, not off/);
  assert.match(conflict.stderr, /BACKCAST_REGISTRY_INVALID/);
  const { end, stderr } = await runBackcast(['publish', 'asked'], {
    env: { BACKCAST_HOME: place.folder },
  });
  assert.equal(end, 1);
  assert.match(stderr, /BACKCAST_KEYS_MISSING/);
  assert.equal((await publish('open')).end, 0);
});

test('up with its demo runs signed on one setting, and logs no key at level debug', async () => {
  await using place = await reservePlace(`${OLD_KEY}\n${NEW_KEY}\n`);
  await using database = await createTestDatabase();
  const env = {
    DATABASE_URL: database.url,
    BACKCAST_HOME: place.folder,
    BACKCAST_AUTH_KEYS_FILE: place.keysFile,
    BACKCAST_AUTH_NEW_CHANNELS: 'required',
    BACKCAST_LOG_LEVEL: 'trace',
    BACKCAST_PORT: '0',
  };
  const up = startBackcast(['up', '--demo'], { env });
  using _killed = { [Symbol.dispose]: () => up.kill('SIGKILL') };
  const ended = endOf(up);
  let printed = '';
  up.stderr.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  const api = await until(
    'the API is there',
    () => /replay API +(http\S+)/.exec(printed)?.[1],
    60_000,
  );
  await until(
    'signed messages are archived',
    async () => {
      const response = await fetch(`${api}/demo.orders/messages?limit=20`);
      const { items } = (await response.json()) as { readonly items?: readonly unknown[] };
      return items?.length === 20;
    },
    30_000,
  );
  const keyed = { ...env, BACKCAST_AUTH_KEYS_FILE: '', BACKCAST_AUTH_KEYS: OLD_KEY };
  const subscribe = await runBackcast(['subscribe', 'demo.orders', '--count', '3'], { env: keyed });
  assert.equal(subscribe.end, 0, subscribe.stderr);
  up.kill('SIGTERM');
  const end = await ended;
  assert.equal(end.end, 0, end.stderr);
  assert.match(end.stderr, /"keysFile"/);
  assertNoKey(printedBy(end) + printedBy(subscribe), OLD_KEY, NEW_KEY);
});
