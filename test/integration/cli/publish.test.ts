// `publish` and `subscribe` as processes: what ends them, and what has been published by then.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { endOf, type RunningCommand, runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { reserveGroup } from '#test/support/multicast.ts';

interface Place extends AsyncDisposable {
  readonly args: readonly string[];
}

/** A channel of its own, with a publisher that lingers shortly. */
async function reservePlace(): Promise<Place> {
  const resources = new AsyncDisposableStack();
  const { path } = resources.use(await createTestFolder());
  const { group, port } = resources.use(await reserveGroup());
  const file = join(path, 'backcast.yaml');
  await writeFile(file, 'publisher: { lingerMs: 50 }\n');
  const args = ['--config', file, '--group', `${group}:${port}`];
  return { args, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Starts `subscribe` and returns when it has joined the group. */
async function startSubscribe(place: Place, ...more: readonly string[]): Promise<RunningCommand> {
  const subscribe = startBackcast(['subscribe', 'live', ...place.args, ...more]);
  await once(subscribe.stderr, 'data');
  return subscribe;
}

/** Starts a `publish` that ends only when it is told to. */
function startEndless(place: Place): RunningCommand {
  return startBackcast(['publish', 'live', ...place.args, '--count', '1000000', '--rate', '200']);
}

function parsed(line: string): Record<string, unknown> {
  return JSON.parse(line) as Record<string, unknown>;
}

test('an interrupted publish says how far it got, and marks its end', async () => {
  await using place = await reservePlace();
  const subscribe = await startSubscribe(place);
  const lines = createInterface(subscribe.stdout);
  const publish = startEndless(place);
  let last = 0;
  for await (const line of lines) {
    const { kind, state, sequence } = parsed(line);
    if (sequence === 3) publish.kill('SIGINT');
    if (kind === 'message') last = Number(sequence);
    if (state === 'closed') break;
  }
  const { end, stderr } = await endOf(publish);
  assert.equal(end, 130);
  assert.equal(/^published (\d+) messages/.exec(stderr)?.[1], String(last));
  subscribe.kill('SIGTERM');
  const [exitCode] = (await once(subscribe, 'close')) as [number | null];
  assert.equal(exitCode, 143);
});

test('a publish that waits for input ends when it is told to, whole lines only', async () => {
  await using place = await reservePlace();
  const subscribe = await startSubscribe(place, '--count', '1');
  const publish = startBackcast(['publish', 'live', ...place.args]);
  publish.stdin.write('first\nnot ended');
  await text(subscribe.stdout);
  publish.kill('SIGTERM');
  const { end, stderr } = await endOf(publish);
  assert.equal(end, 143);
  assert.match(stderr, /^published 1 message to live/);
});

test('a line that is too large ends publish with its number', async () => {
  await using place = await reservePlace();
  const input = `one\n${'x'.repeat(1_048_577)}\n`;
  const publish = await runBackcast(['publish', 'live', ...place.args], { input });
  assert.equal(publish.end, 1);
  assert.match(publish.stderr, /^backcast: Line 2 .*\(BACKCAST_MESSAGE_TOO_LARGE\)\n$/);
});

test('--rate holds for lines of standard input too', async () => {
  await using place = await reservePlace();
  const input = 'x\n'.repeat(41);
  const startedAtMs = performance.now();
  const publish = await runBackcast(['publish', 'live', ...place.args, '--rate', '50'], { input });
  assert.match(publish.stderr, /^published 41 messages/);
  assert.ok(performance.now() - startedAtMs > 750);
});

test('a reader that has seen enough ends subscribe without a word', async () => {
  await using place = await reservePlace();
  const subscribe = await startSubscribe(place);
  const stderr = text(subscribe.stderr);
  const publish = startEndless(place);
  await once(subscribe.stdout, 'data');
  subscribe.stdout.destroy();
  const [exitCode] = (await once(subscribe, 'close')) as [number | null];
  assert.deepEqual([exitCode, await stderr], [0, '']);
  publish.kill('SIGINT');
  await endOf(publish);
});

test('a registry that cannot be reached is told, and nothing is published', async () => {
  await using folder = await createTestFolder();
  const env = { REDIS_URL: 'redis://127.0.0.1:1', BACKCAST_HOME: folder.path };
  for (const command of ['publish', 'subscribe']) {
    const { end, stdout, stderr } = await runBackcast([command, 'live', '--count', '1'], { env });
    assert.deepEqual([end, stdout], [1, '']);
    assert.match(stderr, /^backcast: .*127\.0\.0\.1:1.*\(BACKCAST_REDIS_UNREACHABLE\)$/m);
  }
});
