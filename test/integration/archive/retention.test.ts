// Retention on a real server: what goes, what stays, and that the auditor can tell the two apart
// afterwards. Days are days before today, each with a partition of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  audit,
  loadRetentionPlan,
  type OpenDatabase,
  partitionName,
  type RetentionPolicy,
  type RetentionResult,
  runRetention,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  DAY_MS,
  fillAged,
  makePastPartitions,
  noonUs,
  startOfUs,
} from '#test/support/aged-archive.ts';
import { openTestDatabase, SESSION_B } from '#test/support/archive.ts';
import { fillChannel, type SentMessage } from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

async function retain(
  opened: OpenDatabase,
  policies: Readonly<Record<string, RetentionPolicy>>,
): Promise<RetentionResult> {
  const policyOf = (channel: string): RetentionPolicy => policies[channel] ?? {};
  const plan = await loadRetentionPlan(opened.database, { policyOf });
  return runRetention(opened.database, plan);
}

async function assertAccounted(opened: OpenDatabase): Promise<void> {
  for (const { channel, problems } of await audit(opened.database)) {
    assert.deepEqual(problems, [], channel);
  }
}

function daysAgo(days: number): RetentionPolicy {
  return { ageMs: days * DAY_MS };
}

test('a day that nobody keeps is dropped, and every message of it accounted for', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5, 3, 0]);
  await fillAged(cloned.url, 'trades', [5, 2]);
  const result = await retain(opened, { orders: daysAgo(3), trades: daysAgo(4) });
  assert.deepEqual(result, {
    messages: 20,
    bytes: 200,
    droppedDays: 1,
    heldDays: 0,
    busyDays: 0,
    isElsewhere: false,
  });
  const partition = partitionName('segments', startOfUs(5) / 1000);
  const left = await execute(cloned.url, `SELECT to_regclass('${partition}') AS name`);
  assert.deepEqual(left, [{ name: null }]);
  await assertAccounted(opened);
  const [orders] = await audit(opened.database, { channel: 'orders' });
  assert.deepEqual([orders.storedCount, orders.deletedCount, orders.dueCount], [20, 10, 30]);
});

test('of a day that another channel keeps, only the channel that is due goes', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5, 4, 1]);
  await fillAged(cloned.url, 'trades', [5, 4]);
  const { messages, droppedDays } = await retain(opened, { orders: daysAgo(2) });
  assert.deepEqual({ messages, droppedDays }, { messages: 20, droppedDays: 0 });
  await assertAccounted(opened);
  const rows = await execute(
    cloned.url,
    `SELECT name, count(*)::int AS messages FROM messages JOIN channels USING (channel_id)
     GROUP BY name ORDER BY name`,
  );
  assert.deepEqual(rows, [
    { name: 'orders', messages: 10 },
    { name: 'trades', messages: 20 },
  ]);
});

function at(session: SessionId, sequence: number): SentMessage {
  return { session, sequence, publishedAtUs: noonUs(5), payload: Buffer.from('x') };
}

test('deletions name the sequences and positions of each session, apart where a loss is', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillChannel(cloned.url, {
    name: 'orders',
    deliveries: [
      {
        kind: 'segment',
        archivedAtUs: noonUs(5),
        messages: [
          at(AGED_SESSION, 1),
          at(SESSION_B, 1),
          at(AGED_SESSION, 2),
          at(SESSION_B, 2),
          at(AGED_SESSION, 5),
        ],
      },
      {
        kind: 'loss',
        session: AGED_SESSION,
        first: 3,
        last: 4,
        cause: 'corrupt',
        positionsBehind: 1,
        detectedAtUs: noonUs(5),
      },
      agedSegment(4, 6, 2),
    ],
  });
  await retain(opened, { orders: daysAgo(4) });
  await assertAccounted(opened);
  const rows = await execute(
    cloned.url,
    `SELECT to_hex(session_id) AS session, first_sequence::int, last_sequence::int,
            first_position::int, last_position::int, message_count::int, policy
     FROM deletions ORDER BY session_id, first_sequence`,
  );
  assert.deepEqual(
    rows.map((row) => Object.values(row)),
    [
      ['a1', 1, 2, 1, 3, 2, 'age 4d'],
      ['a1', 5, 5, 5, 5, 1, 'age 4d'],
      ['7fffffffffffffff', 1, 2, 2, 4, 2, 'age 4d'],
    ],
  );
});
