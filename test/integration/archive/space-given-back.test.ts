// A channel that is kept for a shorter time than another of its day leaves rows that are dead;
// compaction gives their space back, and nobody who reads sees that anything has moved.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  audit,
  compact,
  loadRetentionPlan,
  type RetentionPolicy,
  runRetention,
} from '#archive/mod.ts';
import { SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  makePastPartitions,
  startOfUs,
} from '#test/support/aged-archive.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { fillChannel } from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

/** Segments of more than half of the most are never merged: what goes here, retention deletes. */
const MESSAGES = SEGMENT_MESSAGES_MAX / 2 + 1;
const DELETED_SEGMENTS = 260;
const KEPT_SEGMENTS = 20;

async function fillDay(url: string, name: string, segments: number): Promise<void> {
  const deliveries = Array.from({ length: segments }, (_, index) =>
    agedSegment(5, 1 + index * MESSAGES, MESSAGES),
  );
  await fillChannel(url, { name, deliveries, sessions: agedSessions(AGED_SESSION) });
}

function digestOf(url: string): Promise<Record<string, unknown>[]> {
  return execute(
    url,
    `SELECT count(*), md5(string_agg(messages::text, ',' ORDER BY position))
     FROM messages WHERE channel = 'trades'`,
  );
}

function policyOf(channel: string): RetentionPolicy {
  return channel === 'orders' ? { ageMs: 2 * DAY_MS } : {};
}

test('what retention deletes of a day is given back by compaction', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillDay(cloned.url, 'orders', DELETED_SEGMENTS);
  await fillDay(cloned.url, 'trades', KEPT_SEGMENTS);
  const kept = await digestOf(cloned.url);
  assert.deepEqual((await compact(opened)).days, []);
  const plan = await loadRetentionPlan(opened.database, { policyOf });
  const { messages, droppedDays } = await runRetention(opened.database, plan);
  assert.deepEqual([messages, droppedDays], [DELETED_SEGMENTS * MESSAGES, 0]);
  // The server counts deleted rows a moment after they are.
  const day = await until('the day is rewritten', async () => (await compact(opened)).days[0]);
  assert.equal(day.startMs, startOfUs(5) / 1000);
  assert.ok(day.bytesAfter < day.bytesBefore / 5, `${day.bytesBefore} → ${day.bytesAfter} bytes`);
  assert.deepEqual(await digestOf(cloned.url), kept);
  const verdicts = await audit(opened.database);
  assert.deepEqual(
    verdicts.map(({ storedCount, deletedCount, problems }) => ({
      storedCount,
      deletedCount,
      problems,
    })),
    [
      { storedCount: 0, deletedCount: DELETED_SEGMENTS * MESSAGES, problems: [] },
      { storedCount: KEPT_SEGMENTS * MESSAGES, deletedCount: 0, problems: [] },
    ],
  );
});
