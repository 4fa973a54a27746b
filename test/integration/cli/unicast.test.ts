// Channels of unicast delivery as a user of the commands meets them: with the registry file of one
// host, and with members that stand in the configuration.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { until } from '#test/support/until.ts';

const LOSS = ['--fault', 'receive-loss=0.05,send-loss=0.05'];

/** `subscribe` that listens, and what it will have heard. Ends with `resources` at the latest. */
async function startSubscribe(
  resources: AsyncDisposableStack,
  args: readonly string[],
  cwd: string,
): Promise<{ readonly place: string; readonly heard: Promise<number[]> }> {
  const command = startBackcast(['subscribe', ...args], { cwd });
  resources.defer(() => void command.kill('SIGKILL'));
  const output = text(command.stdout);
  const [line] = (await once(createInterface(command.stderr), 'line')) as [string];
  command.stderr.resume();
  const place = /^listening to \S+ on (127\.0\.0\.\d:\d+)$/.exec(line)?.[1];
  assert.ok(place !== undefined, line);
  return { place, heard: output.then(sequencesOf) };
}

function sequencesOf(ndjson: string): number[] {
  return ndjson
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; sequence: number })
    .filter(({ kind }) => kind === 'message')
    .map(({ sequence }) => sequence);
}

test('up, publish and subscribe work without multicast, and all of it is archived', async () => {
  await using folder = await createTestFolder();
  await using resources = new AsyncDisposableStack();
  const cwd = folder.path;
  const config = { registry: { delivery: 'unicast' }, api: { port: 0 } };
  await writeFile(join(cwd, 'backcast.yaml'), JSON.stringify(config));
  const up = startBackcast(['up', '--demo', ...LOSS], { cwd });
  resources.defer(() => void up.kill('SIGTERM'));
  const api = await apiOf(createInterface(up.stderr));
  up.stderr.resume();
  await archivedThrough(api, 'demo.orders', 5);
  const loopbacks = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
  const listening = loopbacks.map((address) =>
    startSubscribe(resources, ['tour', '--count', '500', '--interface', address, ...LOSS], cwd),
  );
  const subscribers = await Promise.all(listening);
  const args = ['--count', '500', '--rate', '1000', '--source', 'me'];
  const publish = await runBackcast(['publish', 'tour', ...args], { cwd });
  assert.equal(publish.end, 0, publish.stderr);
  const all = Array.from({ length: 500 }, (_, index) => index + 1);
  for (const { heard } of subscribers) assert.deepEqual(await heard, all);
  await archivedThrough(api, 'tour', 500);
  const stopped = once(up, 'close');
  up.kill('SIGINT');
  const [exitCode] = (await stopped) as [number | null];
  assert.equal(exitCode, 0);
  const audit = await runBackcast(['audit'], { cwd });
  assert.equal(audit.end, 0, audit.stderr);
  const home = JSON.parse(await readFile(join(cwd, '.backcast', 'registry.json'), 'utf8')) as {
    channels: Record<string, { delivery?: string }>;
    members: Record<string, Record<string, { leftAtUs?: number }>>;
  };
  assert.equal(home.channels['tour'].delivery, 'unicast');
  const members = Object.values(home.members['tour']);
  assert.ok(members.length === 4 && members.every(({ leftAtUs }) => leftAtUs !== undefined));
});

test('members that stand in the configuration need no registry', async () => {
  await using folder = await createTestFolder();
  await using resources = new AsyncDisposableStack();
  const cwd = folder.path;
  const channel = { name: 'fixed', group: '239.255.77.8', port: 37_708, delivery: 'unicast' };
  const ports = [37_709, 37_710];
  const members = ['127.0.0.1:37709', '127.0.0.2:37709'];
  const config = { channels: [{ ...channel, members }], unicast: { ports } };
  await writeFile(join(cwd, 'backcast.yaml'), JSON.stringify(config));
  const one = await startSubscribe(resources, ['fixed', '--count', '3'], cwd);
  const two = await startSubscribe(
    resources,
    ['fixed', '--count', '3', '--interface', '127.0.0.2'],
    cwd,
  );
  assert.deepEqual([one.place, two.place], members);
  const stranger = await runBackcast(['subscribe', 'fixed', '--interface', '127.0.0.3'], { cwd });
  assert.equal(stranger.end, 2);
  assert.match(stranger.stderr, /^backcast: 127\.0\.0\.3:37709 is none of the members .*\n$/);
  const publish = await runBackcast(['publish', 'fixed', '--count', '3'], { cwd });
  assert.equal(publish.end, 0, publish.stderr);
  assert.deepEqual(await one.heard, [1, 2, 3]);
  assert.deepEqual(await two.heard, [1, 2, 3]);
});

test('a channel keeps its delivery, and what does not go together is one clear line', async () => {
  await using folder = await createTestFolder();
  const cwd = folder.path;
  const publish = (args: string[]): ReturnType<typeof runBackcast> =>
    runBackcast(['publish', 'tour', '--count', '1', ...args], { cwd });
  assert.equal((await publish(['--delivery', 'unicast'])).end, 0);
  const other = await publish(['--delivery', 'multicast']);
  assert.equal(other.end, 1);
  assert.match(other.stderr, /registered with delivery unicast, not multicast.*REGISTRY_INVALID/);
  const given = await publish(['--delivery', 'unicast', '--group', '239.255.77.9:37711']);
  assert.equal(given.end, 2);
  assert.match(given.stderr, /--delivery unicast goes with a registry.*\(BACKCAST_USAGE\)\n$/);
});

async function apiOf(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    const api = /replay API {2,}(http:\/\/\S+?)\/v1\/channels/.exec(line)?.[1];
    if (api !== undefined) return api;
  }
  throw new Error('up did not start');
}

async function archivedThrough(api: string, channel: string, position: number): Promise<void> {
  await until(
    `${channel} is archived through ${position}`,
    async () => {
      const answer = await fetch(`${api}/v1/channels/${channel}`);
      if (!answer.ok) return false;
      return ((await answer.json()) as { archivedThrough: number }).archivedThrough >= position;
    },
    30_000,
  );
}
