// A server that fails under an append: crashes at any moment, a disk that is full, a log that finds
// no room. What the appender was told is committed is there afterwards, what it was not told goes
// in once when it is tried again. The disks are small ones that are mounted: as root.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  Appender,
  type AppendResult,
  type ArchiveBatch,
  audit,
  headAfter,
  migrateToLatest,
  startEmbeddedPostgres,
} from '#archive/mod.ts';
import { BackcastError, seededRandom } from '#base/mod.ts';
import {
  batchOf,
  makeChannel,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
} from '#test/support/archive.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { crashServer } from '#test/support/postgres-crash.ts';
import { execute, withDatabase } from '#test/support/postgres-server.ts';
import { mountSmallDisk } from '#test/support/small-disk.ts';
import { until } from '#test/support/until.ts';

const NAME = 'failing appender';
const MEBIBYTE = 1_048_576;
const run = promisify(execFile);

type Place = Pick<ArchiveBatch, 'channelId' | 'epoch'>;

/** The next batch of a channel: messages that do not compress, `megabytes` of them. */
function nextBatch(place: Place, expectedHead: number, megabytes: number): ArchiveBatch {
  const lists = Array.from({ length: megabytes }, (_, index) =>
    Array.from({ length: 16 }, (__, message) => ({
      session: SESSION_A,
      sequence: expectedHead + index * 16 + message + 1,
      payload: randomBytes(MEBIBYTE / 16),
      publishedAtUs: PUBLISHED_AT_US,
    })),
  );
  return batchOf({ ...place, expectedHead }, ...lists);
}

/** Tries until it is known to be committed; counts the failures, which must be passing ones. */
async function appendUntilCommitted(
  appender: Appender,
  batch: ArchiveBatch,
  failures: string[] = [],
): Promise<void> {
  const result = await until<AppendResult>(
    'it is committed',
    () =>
      appender.append(batch).catch((error: unknown) => {
        assert.ok(error instanceof BackcastError && error.isRetryable, String(error));
        failures.push(error.message);
        return undefined;
      }),
    60_000,
  );
  assert.deepEqual(
    [result.outcome, 'head' in result && result.head],
    ['committed', headAfter(batch)],
  );
}

async function assertSettled(url: string, head: number): Promise<void> {
  const left = `SELECT pid FROM pg_stat_activity WHERE application_name = '${NAME}'`;
  await until('no connection is left', async () => (await execute(url, left)).length === 0);
  await using opened = openTestDatabase(url);
  const [orders] = await audit(opened.database);
  assert.deepEqual([orders.storedCount, orders.lostCount, orders.problems], [head, 0, []]);
}

async function startPlace(url: string): Promise<Place> {
  await migrateToLatest({ url });
  await using opened = openTestDatabase(url);
  return await makeChannel(opened, 'orders');
}

test('a server that crashes at any moment costs nothing and doubles nothing', async () => {
  await using folder = await createTestFolder();
  const homeDir = folder.path;
  let server = await startEmbeddedPostgres({ homeDir });
  await using _server = { [Symbol.asyncDispose]: () => server.stop() };
  const { url } = server;
  const place = await startPlace(url);
  const random = seededRandom(7);
  const failures: string[] = [];
  let head = 0;
  const over = new AbortController();
  const appending = (async () => {
    await using appender = new Appender({ url, applicationName: NAME, holder: 'test' });
    while (!over.signal.aborted) {
      const batch = nextBatch(place, head, 6);
      await appendUntilCommitted(appender, batch, failures);
      head = headAfter(batch);
    }
  })();
  for (let round = 0; round < 5; round += 1) {
    const before = head;
    const afterMs = performance.now() + random() * 200;
    await until('a batch is under way', () => head > before && performance.now() > afterMs, 60_000);
    await crashServer(server, homeDir);
    server = await startEmbeddedPostgres({ homeDir });
    assert.equal(server.url, url);
  }
  over.abort();
  await appending;
  assert.ok(failures.length >= 3, `${failures.length} batches were disturbed`);
  await assertSettled(url, head);
});

test('a disk that is full is waited for, and the batch goes in when there is room', async () => {
  await using folder = await createTestFolder();
  await using disk = await mountSmallDisk(24 * MEBIBYTE);
  await using server = await startEmbeddedPostgres({ homeDir: folder.path });
  const owner = await stat(join(folder.path, 'postgres', 'data'));
  const space = join(disk.path, 'space');
  await mkdir(space, { mode: 0o700 });
  await chown(space, owner.uid, owner.gid);
  await execute(
    server.url,
    `CREATE TABLESPACE small LOCATION '${space}'`,
    'CREATE DATABASE orders TABLESPACE small',
  );
  const url = withDatabase(server.url, 'orders');
  const place = await startPlace(url);
  const appender = new Appender({ url, applicationName: NAME, holder: 'test' });
  const batch = nextBatch(place, 0, 24);
  for (const _ of [1, 2]) {
    await assert.rejects(appender.append(batch), (error: unknown) => {
      assert.ok(error instanceof BackcastError && error.isRetryable, String(error));
      assert.match(error.message, /53100/);
      return true;
    });
  }
  await disk.resize(200 * MEBIBYTE);
  await appendUntilCommitted(appender, batch);
  await appender.close();
  await assertSettled(url, headAfter(batch));
});

test('a log that finds no room takes the server down, and nothing that was committed', async () => {
  await using folder = await createTestFolder();
  await using disk = await mountSmallDisk(96 * MEBIBYTE);
  const homeDir = folder.path;
  const settings = { max_wal_size: '48MB', min_wal_size: '32MB', wal_compression: 'off' };
  let server = await startEmbeddedPostgres({ homeDir, settings });
  await using _server = { [Symbol.asyncDispose]: () => server.stop() };
  const place = await startPlace(server.url);
  await server.stop();
  const log = join(homeDir, 'postgres', 'data', 'pg_wal');
  await run('cp', ['-a', log, disk.path]);
  await rm(log, { recursive: true });
  await symlink(join(disk.path, 'pg_wal'), log);
  server = await startEmbeddedPostgres({ homeDir, settings });
  const { url } = server;
  const appender = new Appender({ url, applicationName: NAME, holder: 'test' });
  const first = nextBatch(place, 0, 1);
  await appendUntilCommitted(appender, first);
  const filler = await disk.fill(0);
  const second = nextBatch(place, headAfter(first), 48);
  await assert.rejects(appender.append(second), { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  await Promise.race([server.exited, until('it is down', () => isDown(url), 30_000)]);
  await rm(filler);
  await server.stop();
  await disk.resize(400 * MEBIBYTE);
  server = await startEmbeddedPostgres({ homeDir, settings });
  await assertNothingBehind(server.url, headAfter(first));
  await appendUntilCommitted(appender, second);
  await appender.close();
  await assertSettled(server.url, headAfter(second));
});

async function isDown(url: string): Promise<boolean> {
  return execute(url, 'SELECT 1').then(
    () => false,
    () => true,
  );
}

async function assertNothingBehind(url: string, head: number): Promise<void> {
  const [lease] = await execute(url, 'SELECT head::int FROM leases');
  assert.deepEqual(lease, { head });
}
