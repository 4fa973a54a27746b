// An archiver that compacts in the background while it records, and is stopped in the middle of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, ensurePartitions, openDatabase } from '#archive/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { SESSION_A } from '#test/support/archive.ts';
import { fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

/** Every four seconds a message, an hour and a bit. */
const MESSAGES = 1_000;

async function fillQuiet(url: string): Promise<void> {
  await using opened = openDatabase({
    url,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
    poolConnectionsMax: 1,
  });
  await ensurePartitions(opened.database, instantAt(0) / 1000, 0);
  await fillChannel(url, {
    name: 'quotes',
    deliveries: Array.from({ length: MESSAGES }, (_, index) => ({
      kind: 'segment',
      archivedAtUs: instantAt(4 * index),
      messages: [
        {
          session: SESSION_A,
          sequence: index + 1,
          publishedAtUs: instantAt(4 * index),
          payload: Buffer.from('quote'),
        },
      ],
    })),
  });
}

test('an archiver merges what is quiet while it records what is not', async () => {
  await using scene = await setScene();
  await fillQuiet(scene.databaseUrl);
  await using archiver = await scene.startArchiver({ compactEveryMs: 20 });
  await using publisher = await scene.openPublisher();
  await until(
    'the quiet channel is merged, and its day rewritten',
    async () => {
      await publisher.publish(Buffer.from('order'));
      const { rewrittenDays = 0, mergedSegments } = archiver.compaction ?? {};
      return rewrittenDays > 0 && mergedSegments === MESSAGES;
    },
    60_000,
  );
  assert.equal(archiver.compaction?.madeSegments, 2);
  assert.equal(archiver.compaction?.failedPasses, 0);
  assert.ok((archiver.compaction?.freedBytes ?? 0) > 0);
  await scene.accounted(1);
  assert.ok((await audit(scene.database)).every(({ problems }) => problems.length === 0));
});

test('an archiver that is stopped while it compacts leaves everything as it was', async () => {
  await using scene = await setScene();
  await fillQuiet(scene.databaseUrl);
  const archiver = await scene.startArchiver({ compactEveryMs: 1 });
  await until('compaction is at work', async () => {
    const [row] = await execute(
      scene.databaseUrl,
      `SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'backcast compaction%'`,
    );
    return row !== undefined;
  });
  await archiver.stop();
  const [counted] = await execute(scene.databaseUrl, 'SELECT count(*)::int AS count FROM messages');
  assert.equal(counted['count'], MESSAGES);
  assert.ok((await audit(scene.database)).every(({ problems }) => problems.length === 0));
});

test('an archiver compacts only where it is told to', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver({ compactEveryMs: 0 });
  assert.equal(archiver.compaction, undefined);
});
