// `publish` and `subscribe` in the framings of other implementations, as processes: with an address
// given by hand, and with one from the registry.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';

/** Not the address at which a reserved port is held. */
const PUBLISHER_ADDRESS = '127.0.0.2';
const LINES = ['hello', '', 'x'.repeat(3_000)];

interface Shown {
  readonly kind: string;
  readonly sequence?: number;
  readonly payload?: string;
  readonly parts?: readonly { readonly encoding: string; readonly payload: string }[];
}

/** What `subscribe` shows of what `publish` sends, both with `args`. */
async function exchange(args: readonly string[]): Promise<Shown[]> {
  const listening = ['--interface', LOOPBACK, '--count', String(LINES.length)];
  const subscribe = startBackcast(['subscribe', 'feed', ...args, ...listening]);
  await once(subscribe.stderr, 'data');
  const ended = endOf(subscribe);
  const input = `${LINES.join('\n')}\n`;
  const sending = ['publish', 'feed', ...args, '--interface', PUBLISHER_ADDRESS];
  const publish = await runBackcast(sending, { input });
  assert.match(publish.stderr, /^published 3 messages to feed/);
  const { end, stdout } = await ended;
  assert.equal(end, 0);
  const shown = stdout.trim().split('\n');
  return shown.map((line) => JSON.parse(line) as Shown).filter(({ kind }) => kind === 'message');
}

for (const framing of ['raw', 'zmq'] as const) {
  test(`${framing}: what is published is shown, without a registry and with one`, async () => {
    await using folder = await createTestFolder();
    await using reserved = await reserveGroup();
    const { group, port } = reserved;
    const config = join(folder.path, 'backcast.yaml');
    const pool = `pool: { groups: ['${group}'], ports: [${port}, ${port}] }`;
    const settings = [
      `home: ${folder.path}`,
      `registry: { ${pool} }`,
      'publisher: { lingerMs: 50 }',
    ];
    await writeFile(config, `${settings.join('\n')}\n`);
    const args = ['--config', config, '--framing', framing];
    for (const given of [['--group', `${group}:${port}`], []]) {
      const messages = await exchange([...args, ...given]);
      assert.deepEqual(
        messages.map(({ sequence }) => sequence),
        [1, 2, 3],
      );
      const texts = messages.map(({ payload, parts }) => payload ?? parts?.[0]?.payload);
      assert.deepEqual(texts, LINES);
      assert.ok(
        messages.every(({ parts }) => parts?.length === (framing === 'zmq' ? 1 : undefined)),
      );
    }
  });
}

test('a channel keeps the framing that it has in the registry', async () => {
  await using folder = await createTestFolder();
  const config = join(folder.path, 'backcast.yaml');
  await writeFile(config, `home: ${folder.path}\npublisher: { lingerMs: 1 }\n`);
  const args = ['feed', '--config', config, '--interface', LOOPBACK];
  const first = await runBackcast(['publish', ...args, '--framing', 'zmq', '--count', '0']);
  assert.equal(first.end, 0);
  const other = await runBackcast(['publish', ...args, '--framing', 'raw', '--count', '0']);
  assert.equal(other.end, 1);
  assert.match(other.stderr, /registered with framing zmq, not raw.*\(BACKCAST_REGISTRY_INVALID\)/);
});
