// Retention in the background of an archiver that records at the same time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, findChannel } from '#archive/mod.ts';
import { fillAged, makePastPartitions } from '#test/support/aged-archive.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { keptLog, setScene } from '#test/support/archiving.ts';
import { DAY_MS } from '#test/support/aged-archive.ts';
import { until } from '#test/support/until.ts';

test('an archiver deletes what is due while it records, and counts it', async () => {
  await using scene = await setScene();
  await using opened = openTestDatabase(scene.databaseUrl);
  await makePastPartitions(opened);
  await fillAged(scene.databaseUrl, 'old', [7, 6, 0]);
  const log = keptLog();
  const retention = {
    everyMs: 1_000,
    policyOf: (channel: string) => (channel === 'old' ? { ageMs: 2 * DAY_MS } : {}),
  };
  await using archiver = await scene.startArchiver({ retention, log });
  await using publisher = await scene.openPublisher();
  for (let index = 0; index < 100; index += 1) await publisher.publish(Buffer.from(`${index}`));
  await scene.accounted(100);
  await until('a run has ended', () => archiver.retention.ranAtSeconds > 0);
  const { deletedMessages, deletedBytes, heldDays, failedRuns } = archiver.retention;
  assert.deepEqual(
    { deletedMessages, deletedBytes, heldDays, failedRuns },
    { deletedMessages: 20, deletedBytes: 200, heldDays: 0, failedRuns: 0 },
  );
  assert.ok(log.messages.includes('old messages deleted'));
  for (const { channel, problems } of await audit(opened.database)) {
    assert.deepEqual(problems, [], channel);
  }
  const old = await findChannel(opened.database, 'old');
  assert.deepEqual([old.firstPosition, old.firstAvailable], [21, 21]);
});
