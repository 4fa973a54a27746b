// `backcast republish`: what is archived of one channel comes once more on another, in order and
// byte for byte, and never on its own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CommandEnd, runBackcast } from '#test/support/cli.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { archivedThrough, type RunningUp, startUp, stopUp } from '#test/support/running-up.ts';

const LINES = ['first', '', 'third ünï', '{"number":4}', 'fifth'];

let folder: TestFolder;
let up: RunningUp;
before(async () => {
  folder = await createTestFolder();
  up = await startUp(folder.path, []);
  const input = `${LINES.join('\n')}\n`;
  const args = ['publish', 'orders', '--rate', '20', ...place()];
  const { end, stderr } = await runBackcast(args, { input });
  assert.equal(end, 0, stderr);
  await archivedThrough(up.api, 'orders', LINES.length);
});
after(async () => {
  await stopUp(up);
  await folder[Symbol.asyncDispose]();
});

function place(): string[] {
  return ['--home', folder.path];
}

async function republish(...args: readonly string[]): Promise<CommandEnd> {
  return await runBackcast(['republish', ...args, '--api', up.api, ...place()]);
}

interface Line {
  readonly kind: string;
  readonly payload: string;
  readonly publishedAt: string;
}

async function messagesOf(channel: string): Promise<readonly Line[]> {
  const { stdout } = await runBackcast(['history', channel, '--api', up.api]);
  const lines = stdout.trim().split('\n');
  return lines.map((text) => JSON.parse(text) as Line).filter(({ kind }) => kind === 'message');
}

test('what was published is published again, at its pace, on another channel', async () => {
  const { end, stderr } = await republish('orders', 'rehearsal');
  assert.equal(end, 0, stderr);
  assert.match(stderr, /^republishing orders to rehearsal, session [0-7][0-9a-f]{15}\n/);
  assert.match(stderr, /\nrepublished 5 messages\n$/);
  await archivedThrough(up.api, 'rehearsal', LINES.length);
  const [original, again] = [await messagesOf('orders'), await messagesOf('rehearsal')];
  assert.deepEqual(
    again.map(({ payload }) => payload),
    LINES,
  );
  const [took, takes] = [original, again].map(
    (lines) => Date.parse(lines.at(-1)?.publishedAt ?? '') - Date.parse(lines[0].publishedAt),
  );
  assert.ok((takes ?? 0) >= (took ?? 0) - 20, `${takes} ms, ${took} ms before`);
});

test('part of a channel is published again, as fast as it goes', async () => {
  const { end, stderr } = await republish(
    'orders',
    'part',
    '--after',
    '1',
    '--limit',
    '3',
    '--speed',
    'max',
  );
  assert.deepEqual([end, stderr.includes('republished 3 messages')], [0, true], stderr);
  await archivedThrough(up.api, 'part', 3);
  assert.deepEqual(
    (await messagesOf('part')).map(({ payload }) => payload),
    LINES.slice(1, 4),
  );
});

test('a channel is not republished into itself', async () => {
  const { end, stderr } = await republish('orders', 'orders');
  assert.equal(end, 2);
  assert.match(stderr, /not republished into itself.*\(BACKCAST_USAGE\)\n$/);
});

test('nor into its own group under another name', async () => {
  const answer = await fetch(`${up.api}/v1/channels/orders`);
  const { group, port } = (await answer.json()) as {
    readonly group: string;
    readonly port: number;
  };
  const { end, stderr } = await republish('orders', 'alias', '--group', `${group}:${port}`);
  assert.equal(end, 2);
  assert.match(stderr, /not republished into itself.*\(BACKCAST_USAGE\)\n$/);
  assert.equal(await archivedThrough(up.api, 'orders', 1), LINES.length);
});

test('what cannot be republished is refused before anything is published', async () => {
  for (const [args, complaint] of [
    [['none', 'target'], /BACKCAST_CHANNEL_UNKNOWN/],
    [['orders', 'target', '--speed', '0'], /not a number above 0/],
    [['orders', 'target', '--from', 'yesterday'], /--from "yesterday" is not an instant/],
    [['orders', 'target', '--session', 'x'], /--session x is not 16 hex digits/],
  ] as const) {
    const { end, stderr } = await republish(...args);
    assert.notEqual(end, 0);
    assert.match(stderr, complaint);
  }
});
