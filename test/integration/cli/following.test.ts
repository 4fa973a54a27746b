// `backcast subscribe --from` and `--cursor`: history and live traffic as one stream, each message
// once, also when the command is ended and started again.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { readExposition } from '#test/support/exposition.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { archivedThrough, type RunningUp, startUp, stopUp } from '#test/support/running-up.ts';
import { until } from '#test/support/until.ts';

interface Line {
  readonly kind: string;
  readonly sequence: number;
  readonly payload: string;
  readonly via: string;
  readonly position: number | null;
}

let folder: TestFolder;
let up: RunningUp;
before(async () => {
  folder = await createTestFolder();
  up = await startUp(folder.path, []);
});
after(async () => {
  await stopUp(up);
  await folder[Symbol.asyncDispose]();
});

function place(): string[] {
  return ['--home', folder.path, '--api', up.api];
}

async function publish(channel: string, lines: readonly string[]): Promise<void> {
  const args = ['publish', channel, '--home', folder.path];
  const { end, stderr } = await runBackcast(args, { input: `${lines.join('\n')}\n` });
  assert.equal(end, 0, stderr);
}

/** Runs `subscribe` to its end; its messages. */
async function follow(...args: readonly string[]): Promise<readonly Line[]> {
  const { end, stdout, stderr } = await runBackcast(['subscribe', ...args, ...place()]);
  assert.equal(end, 0, stderr);
  return messagesIn(stdout);
}

function messagesIn(stdout: string): readonly Line[] {
  const lines = stdout.split('\n').filter((text) => text !== '');
  return lines.map((text) => JSON.parse(text) as Line).filter(({ kind }) => kind === 'message');
}

test('what was published before comes first, and then what is published now', async () => {
  await publish('orders', ['one', 'two']);
  await archivedThrough(up.api, 'orders', 2);
  const command = startBackcast([
    'subscribe',
    'orders',
    '--from',
    'start',
    '--count',
    '3',
    ...place(),
  ]);
  const ended = endOf(command);
  await once(createInterface(command.stderr), 'line');
  await publish('orders', ['three']);
  const { end, stdout, stderr } = await ended;
  assert.equal(end, 0, stderr);
  assert.deepEqual(
    messagesIn(stdout).map(({ payload }) => payload),
    ['one', 'two', 'three'],
  );
  assert.deepEqual(
    messagesIn(stdout)
      .map(({ via, position }) => [via, position])
      .slice(0, 2),
    [
      ['replayed', 1],
      ['replayed', 2],
    ],
  );
});

test('a cursor goes on where the command was ended, without multicast as well', async () => {
  const cursor = join(folder.path, 'stocks.cursor');
  await publish('stocks', ['a', 'b', 'c', 'd']);
  await archivedThrough(up.api, 'stocks', 4);
  const from = ['--cursor', cursor, '--from', 'start', '--no-multicast'];
  const first = await follow('stocks', ...from, '--count', '3');
  assert.match(await readFile(cursor, 'utf8'), /^\S+\n$/);
  const second = await follow('stocks', ...from, '--count', '1');
  assert.deepEqual(
    [...first, ...second].map(({ payload }) => payload),
    ['a', 'b', 'c', 'd'],
  );
});

test('it serves what it counts and where it is, while it runs', async () => {
  await publish('bonds', ['one', 'two']);
  await archivedThrough(up.api, 'bonds', 2);
  const args = ['subscribe', 'bonds', '--from', 'start', '--metrics-port', '0'];
  const command = startBackcast([...args, ...place()]);
  const ended = once(command, 'close');
  let said = '';
  command.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  command.stdout.resume();
  const url = await until('metrics are served', () => /metrics at (http\S+)/.exec(said)?.[1]);
  const read = async (): Promise<Map<string, number>> => {
    const { samples } = readExposition(await (await fetch(url)).text());
    return new Map(samples.map(({ name, labels, value }) => [`${name} ${labels['state']}`, value]));
  };
  await until(
    'it is live',
    async () => (await read()).get('backcast_subscription_state live') === 1,
  );
  const numbers = await read();
  assert.equal(numbers.get('backcast_subscription_replayed_messages_total undefined'), 2);
  assert.equal(numbers.get('backcast_subscription_state replaying'), 0);
  assert.equal(numbers.get('backcast_receiver_malformed_packets_total undefined'), 0);
  assert.equal(numbers.get('backcast_transport_captured_datagrams_total undefined'), 0);
  command.kill('SIGINT');
  await ended;
});

test('a position and a time are places to begin at', async () => {
  await publish('quotes', ['w', 'x', 'y', 'z']);
  await archivedThrough(up.api, 'quotes', 4);
  const behind = await follow('quotes', '--from', '3', '--count', '2', '--no-multicast');
  assert.deepEqual(
    behind.map(({ payload }) => payload),
    ['y', 'z'],
  );
  const all = await follow('quotes', '--from', '2020-01-01T00:00:00Z', '--count', '4');
  assert.equal(all.length, 4);
});

test('a file that cannot be written is refused before anything is printed', async () => {
  const cursor = join(folder.path, 'nowhere', 'orders.cursor');
  const args = ['subscribe', 'orders', '--from', 'start', '--cursor', cursor, '--count', '1'];
  const { end, stdout, stderr } = await runBackcast([...args, ...place()]);
  assert.deepEqual([end, stdout], [2, '']);
  assert.match(stderr, /the file .*nowhere.* cannot be used/);
});

test('without multicast it must be told where to begin', async () => {
  const args = ['subscribe', 'orders', '--no-multicast', '--count', '1'];
  const { end, stderr } = await runBackcast([...args, ...place()]);
  assert.equal(end, 2);
  assert.match(stderr, /--no-multicast goes with --from or --cursor/);
});

test('a place that is none is refused, as is a cursor of another channel', async () => {
  const nowhere = await runBackcast(['subscribe', 'orders', '--from', 'yesterday', ...place()]);
  assert.equal(nowhere.end, 2);
  assert.match(nowhere.stderr, /--from "yesterday" is not start, live, a position/);
  const cursor = join(folder.path, 'stocks.cursor');
  const other = await runBackcast(['subscribe', 'orders', '--cursor', cursor, ...place()]);
  assert.equal(other.end, 1);
  assert.match(other.stderr, /BACKCAST_CURSOR_INVALID/);
});
