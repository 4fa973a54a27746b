// The registry file against real processes and the accidents that befall files.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFileRegistry } from '#registry/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

const CHILD = fileURLToPath(new URL('resolve-in-child.ts', import.meta.url));
const SESSION = {
  channel: 'orders',
  session: '0123456789abcdef' as SessionId,
  source: 'gateway-7',
  host: 'host-1',
  address: '10.0.0.1',
  startedAtUs: 1_000,
};

function startChild(
  path: string,
  channels: readonly string[],
): ChildProcess & {
  readonly stdout: NonNullable<ChildProcess['stdout']>;
} {
  return spawn(process.execPath, [CHILD, path, ...channels], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

/** The process id of a process that is gone. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  assert.ok(child.pid !== undefined);
  return child.pid;
}

test('processes that ask at once get the same answers and no two channels the same', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  const names = Array.from({ length: 12 }, (_, index) => `c${index}`);
  const children = [names, names.toReversed(), names.toSorted(), names.slice(6)].map((channels) =>
    startChild(path, channels),
  );
  await Promise.all(children.map((child) => once(child.stdout, 'data')));
  for (const child of children) child.stdin?.end('go\n');
  const answers = await Promise.all(
    children.map(async (child): Promise<Record<string, { port: number }>> => {
      return JSON.parse(await readText(child.stdout));
    }),
  );
  const merged = Object.assign({}, ...answers) as Record<string, { port: number }>;
  for (const answer of answers)
    for (const [name, address] of Object.entries(answer)) assert.deepEqual(address, merged[name]);
  assert.equal(new Set(Object.values(merged).map(({ port }) => port)).size, 12);
  assert.deepEqual(await readdir(folder.path), ['registry.json']);
});

test('the lock of a process that died is taken away', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  const lock = `${path}.lock`;
  await writeFile(lock, `${await deadPid()} ${hostname()} 0 1\n`);
  const fiveSecondsAgo = new Date(Date.now() - 5_000);
  await utimes(lock, fiveSecondsAgo, fiveSecondsAgo);
  await using registry = openFileRegistry({ path });
  await registry.resolve('orders');
  assert.deepEqual(await readdir(folder.path), ['registry.json']);
});

test('a lock that has grown old is taken away, whoever holds it', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  const longAgo = new Date(Date.now() - 60_000);
  for (const holder of [`${process.pid} ${hostname()} 0 1\n`, '1 elsewhere 0 1\n', '']) {
    await writeFile(`${path}.lock`, holder);
    await utimes(`${path}.lock`, longAgo, longAgo);
    await using registry = openFileRegistry({ path });
    await registry.resolve(`channel-${holder.length}`);
  }
  assert.deepEqual(await readdir(folder.path), ['registry.json']);
});

test('a young lock is waited for', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  await using registry = openFileRegistry({ path });
  await registry.resolve('first');
  await writeFile(`${path}.lock`, `${process.pid} ${hostname()} 0 1\n`);
  let isResolved = false;
  const pending = registry.resolve('second').then((address) => {
    isResolved = true;
    return address;
  });
  await registry.lookup('first');
  assert.equal(isResolved, false);
  await unlink(`${path}.lock`);
  await pending;
});

test('a file that is half a file is refused by name and left as it is', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  await writeFile(path, '{"version":1,"channels":{"a');
  await using registry = openFileRegistry({ path });
  const refused = { code: 'BACKCAST_REGISTRY_INVALID', message: new RegExp(`^${path} cannot be`) };
  await assert.rejects(registry.resolve('a'), refused);
  await assert.rejects(registry.list(), refused);
  await assert.rejects(registry.announce(SESSION), refused);
  assert.equal(await readFile(path, 'utf8'), '{"version":1,"channels":{"a');
  assert.deepEqual(await readdir(folder.path), ['registry.json']);
});

test('a home that cannot be made is one clear error', async () => {
  await using folder = await createTestFolder();
  await writeFile(join(folder.path, 'file'), '');
  await using registry = openFileRegistry({ path: join(folder.path, 'file/home/registry.json') });
  await assert.rejects(registry.resolve('orders'), {
    code: 'BACKCAST_HOME_UNUSABLE',
    message: /registry\.json cannot be used: ENOTDIR.*BACKCAST_HOME/,
  });
});

test('a lease ends at its instant, not before', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  let nowMs = 1_000_000;
  await using registry = openFileRegistry({ path, leaseMs: 30_000, wallClockMs: () => nowMs });
  await registry.announce(SESSION);
  nowMs += 29_999;
  assert.equal((await registry.sessions('orders')).length, 1);
  nowMs += 1;
  assert.equal((await registry.sessions('orders')).length, 0);
});

test('leases that have run out do not pile up in the file', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'registry.json');
  let nowMs = 0;
  await using registry = openFileRegistry({ path, leaseMs: 10, wallClockMs: () => nowMs });
  for (let restart = 0; restart < 20; restart += 1) {
    nowMs += 11;
    const session = String(restart + 1).padStart(16, '0') as SessionId;
    await registry.announce({ ...SESSION, session });
  }
  const file = await readFile(path, 'utf8');
  assert.equal(file.match(/expiresAtMs/g)?.length, 1);
});
