// A server whose settings may lose what it commits: whoever says how far the archive is, says so.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  migrateToLatest,
  openDatabase,
  readDurability,
  startEmbeddedPostgres,
} from '#archive/mod.ts';
import { archiverFamilies } from '#ingest/mod.ts';
import { createReplayApi } from '#replay-api/mod.ts';
import { keptLog, setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { silentLogger } from '#test/support/replay-api.ts';

test('a server that syncs and writes full pages is durable', async () => {
  await using created = await createTestDatabase();
  await using opened = openTest(created.url);
  assert.deepEqual(await readDurability(opened.database), { state: 'durable', reasons: [] });
});

test('a server that may forget is degraded for archiver, metrics and API', async () => {
  await using folder = await createTestFolder();
  const settings = { fsync: 'off', full_page_writes: 'off' };
  await using postgres = await startEmbeddedPostgres({ homeDir: folder.path, settings });
  await migrateToLatest({ url: postgres.url });
  await using scene = await setScene({ databaseUrl: postgres.url });
  const log = keptLog();
  const archiver = await scene.startArchiver({ log });
  try {
    assert.ok(log.messages.includes('the archive is not durable'));
    const [first] = archiverFamilies(archiver.counters, archiver.durability.state);
    assert.equal(first?.metric.name, 'backcast_archiver_degraded');
    assert.deepEqual('samples' in first && first.samples, [{ labels: {}, value: 1 }]);
  } finally {
    await archiver.stop();
  }
  await using opened = openTest(postgres.url);
  const { state, reasons } = await readDurability(opened.database);
  assert.equal(state, 'degraded');
  assert.match(reasons[0] ?? '', /^fsync is off: .* Set fsync = on and reload the server\.$/);
  assert.match(reasons[1] ?? '', /^full_page_writes is off: /);
  const app = await createReplayApi({ database: opened, logger: silentLogger });
  const ready = await app.inject('/readyz');
  assert.equal(ready.statusCode, 200);
  assert.deepEqual(ready.json<{ durability: unknown }>().durability, { state, reasons });
  for (const path of ['/v1/channels', '/v1/channels/orders']) {
    const answer = await app.inject(path);
    assert.match(answer.body, /"durability":"degraded"/);
  }
  await app.close();
});

function openTest(url: string): ReturnType<typeof openDatabase> {
  return openDatabase({
    url,
    applicationName: 'durability test',
    statementTimeoutMs: 10_000,
    poolConnectionsMax: 2,
  });
}
