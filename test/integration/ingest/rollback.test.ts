// The database is replaced by one that lacks its last commits, as a failover to a server that was
// behind does. What the archiver still has of them is committed again, without anything being
// published meanwhile. The publisher's window is tiny: nothing can come from there.

import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { keptLog, setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { crashServer } from '#test/support/postgres-crash.ts';
import { until } from '#test/support/until.ts';

const TINY_WINDOW = { windowPackets: 64, windowBytes: 1_048_576, messageBytesMax: 8_192 };
const PAYLOAD = Buffer.alloc(200, 'x');

/** A server whose data can be put back to what they were. */
async function setForgetfulServer() {
  const resources = new AsyncDisposableStack();
  const { path: homeDir } = resources.use(await createTestFolder());
  let server = await startEmbeddedPostgres({ homeDir });
  resources.defer(() => server.stop());
  await migrateToLatest({ url: server.url });
  const files = join(homeDir, 'postgres', 'data');
  const copy = join(homeDir, 'copy');
  return {
    url: server.url,
    path: homeDir,
    remember: async () => {
      await server.stop();
      await cp(files, copy, { recursive: true });
      server = await startEmbeddedPostgres({ homeDir });
    },
    goBack: async () => {
      await crashServer(server, homeDir);
      await rm(files, { recursive: true });
      await rename(copy, files);
      server = await startEmbeddedPostgres({ homeDir });
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

test('a database that went back is given again what it lacks, without being asked to', async () => {
  await using server = await setForgetfulServer();
  await using scene = await setScene({ databaseUrl: server.url });
  const log = keptLog();
  const spool = { path: join(server.path, 'spool'), bytesMax: 1_073_741_824 };
  await using archiver = await scene.startArchiver({ log, spool });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await publishMany(publisher, 2_000);
  await scene.accounted(2_000);
  await server.remember();
  await publishMany(publisher, 3_000);
  await scene.accounted(5_000);
  await server.goBack();
  await until('it is noticed', () => log.messages.includes('the archive has gone back'), 15_000);
  await scene.accounted(5_000);
  await publishMany(publisher, 1_000);
  await scene.accounted(6_000);
  await until('it is counted', () => (archiver.counters['orders']?.rollbacks ?? 0) > 0);
  await archiver.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [6_000, 0]);
});

test('what nobody has any more is declared lost, cause resync, and the rest goes on', async () => {
  await using server = await setForgetfulServer();
  await using scene = await setScene({ databaseUrl: server.url });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  const first = await scene.startArchiver();
  await publishMany(publisher, 2_000);
  await scene.accounted(2_000);
  await server.remember();
  await publishMany(publisher, 3_000);
  await scene.accounted(5_000);
  await first.stop();
  await using second = await scene.startArchiver();
  await publishMany(publisher, 500);
  await scene.accounted(5_500);
  await server.goBack();
  await publishMany(publisher, 500);
  await scene.accounted(6_000);
  await second.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.equal(storedCount + lostCount, 6_000);
  assert.ok(lostCount >= 2_900, `${lostCount} are lost`);
  const causes = await scene.database.selectFrom('losses').select('cause').distinct().execute();
  assert.deepEqual(causes, [{ cause: 'resync' }]);
});

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) {
    await publisher.publish(PAYLOAD);
    if (index % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
