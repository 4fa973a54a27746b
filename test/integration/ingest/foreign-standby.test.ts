// Two archivers hear a source of another implementation for the first time, at the same moment. It
// names no session, so each makes one up; the archive has one of them, whoever writes afterwards.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { setScene } from '#test/support/archiving.ts';
import { openForeignSource } from '#test/support/foreign-source.ts';
import { until } from '#test/support/until.ts';

const PAYLOAD = Buffer.alloc(200, '.');

test('a foreign source has one session, although two archivers heard it begin', async () => {
  await using scene = await setScene({ framing: 'raw' });
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using source = await openForeignSource(scene.address);
  const headIs = (head: number): Promise<boolean> =>
    until(
      `${head} messages are archived`,
      async () =>
        (await scene.database.selectFrom('leases').select('head').execute())[0]?.head === head,
      20_000,
    );
  for (let count = 0; count < 500; count += 1) await source.publish(PAYLOAD);
  await headIs(500);
  const pending = 'backcast_archiver_pending_bytes';
  await until('the other needs nothing of it', async () => (await second.metric(pending)) === 0);
  for (let count = 0; count < 300; count += 1) await source.publish(PAYLOAD);
  await first.kill();
  for (let count = 0; count < 300; count += 1) await source.publish(PAYLOAD);
  await until('the other writes', () => second.leading.count === 1, 6_000);
  await headIs(1_100);
  const sessions = await scene.database
    .selectFrom('sessions')
    .select(['tsi', 'watermark'])
    .execute();
  assert.equal(sessions.length, 1);
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [1_100, 0]);
});
