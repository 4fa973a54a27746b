// Retention on a real server: what goes, what stays, and that the auditor can tell the two apart
// afterwards. Days are days before today, each with a partition of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import {
  audit,
  deletePart,
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
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import { fillChannel, type SentMessage } from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

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
  const empty = partitionName('segments', startOfUs(7) / 1000);
  const left = await execute(
    cloned.url,
    `SELECT to_regclass('${partition}') AS dropped, to_regclass('${empty}') AS empty`,
  );
  assert.deepEqual(left, [{ dropped: null, empty: null }]);
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

test('deletions name sequences and positions of each session, apart where a loss is', async () => {
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

test('what a clock put back dates into a dropped day is stored, and goes later', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5]);
  await retain(opened, { orders: daysAgo(3) });
  await fillAged(cloned.url, 'trades', [5, 1]);
  const rows = await execute(
    cloned.url,
    'SELECT tableoid::regclass::text AS name FROM segments ORDER BY first_position',
  );
  assert.equal(rows[0]['name'], 'segments_default');
  await assertAccounted(opened);
  const { messages } = await retain(opened, { trades: daysAgo(3) });
  assert.equal(messages, 10);
  await assertAccounted(opened);
});

test('days that lie in the default partition go with their day', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillAged(cloned.url, 'orders', [7, 6]);
  const { messages, droppedDays } = await retain(opened, { orders: daysAgo(6) });
  assert.deepEqual({ messages, droppedDays }, { messages: 10, droppedDays: 0 });
  await assertAccounted(opened);
});

test('days of which a clock that jumped interleaved the positions are noted apart', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5, 3, 5, 3, 5]);
  await retain(opened, { orders: daysAgo(4) });
  await assertAccounted(opened);
  const rows = await execute(
    cloned.url,
    `SELECT first_position::int AS first, last_position::int AS last
     FROM deletions ORDER BY first_position`,
  );
  assert.deepEqual(rows, [
    { first: 1, last: 10 },
    { first: 21, last: 30 },
    { first: 41, last: 50 },
  ]);
});

test('a part of a day goes in pieces, each of which leaves everything accounted for', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  const deliveries = [0, 1, 2, 3, 4].map((index) => agedSegment(5, 1 + index * 3, 3));
  await fillChannel(cloned.url, { name: 'orders', deliveries });
  const { days } = await loadRetentionPlan(opened.database, { policyOf: () => daysAgo(4) });
  const messages: number[] = [];
  for (;;) {
    const outcome = await deletePart(opened.database, days[0], { segmentsMax: 2, bytesMax: 1_000 });
    assert.equal(outcome.kind, 'deleted');
    messages.push(outcome.messages);
    await assertAccounted(opened);
    if (outcome.isDone) break;
  }
  assert.deepEqual(messages, [6, 6, 3]);
  const bounded = await deletePart(opened.database, days[0]);
  assert.deepEqual(bounded, { kind: 'gone' });
});

test('the oldest days go until a channel has few enough bytes', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [6, 5, 4, 3, 0]);
  await retain(opened, { orders: { bytesMax: 300 } });
  await assertAccounted(opened);
  const [{ storedCount, deletedCount }] = await audit(opened.database);
  assert.deepEqual({ storedCount, deletedCount }, { storedCount: 30, deletedCount: 20 });
  const rows = await execute(cloned.url, 'SELECT DISTINCT policy FROM deletions');
  assert.deepEqual(rows, [{ policy: 'bytes 300B' }]);
});

test('a drop waits briefly for a reader, gives way, and succeeds when that is gone', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5]);
  const reader = new Client({ connectionString: cloned.url });
  await reader.connect();
  await reader.query('BEGIN');
  await reader.query('SELECT count(*) FROM segments');
  const retaining = retain(opened, { orders: daysAgo(3) });
  await until('the drop waits for the reader', async () => {
    const waiting = await execute(
      cloned.url,
      `SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`,
    );
    return waiting.length > 0;
  });
  const startMs = performance.now();
  await execute(cloned.url, 'SELECT count(*) FROM segments');
  assert.ok(performance.now() - startMs < 2_000, 'another reader gets through behind the drop');
  await reader.query('COMMIT');
  await reader.end();
  assert.equal((await retaining).messages, 10);
  await assertAccounted(opened);
});

test('appends go on while days are dropped', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'old', [7, 6, 5, 4, 3]);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'live');
  const retaining = retain(opened, { old: daysAgo(2) });
  const state = { isRetaining: true };
  void retaining.finally(() => (state.isRetaining = false));
  let head = 0;
  while (state.isRetaining || head < 50) {
    const batch = batchOf({ ...place, expectedHead: head }, messagesOf(SESSION_B, head + 1, 5));
    const result = await appender.append(batch);
    assert.equal(result.outcome, 'committed');
    head += 5;
  }
  const { messages, droppedDays } = await retaining;
  assert.deepEqual({ messages, droppedDays }, { messages: 50, droppedDays: 5 });
  await assertAccounted(opened);
});

test('dropping a day of many messages takes about as long as one of few', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  const large = Array.from({ length: 40 }, (_, index) => agedSegment(6, 1 + index * 4_096, 4_096));
  await fillChannel(cloned.url, { name: 'large', deliveries: large });
  await fillAged(cloned.url, 'small', [4]);
  const timed = async (channel: string): Promise<number> => {
    const startMs = performance.now();
    const { droppedDays } = await retain(opened, { [channel]: daysAgo(2) });
    assert.equal(droppedDays, 1);
    return performance.now() - startMs;
  };
  const smallMs = await timed('small');
  const largeMs = await timed('large');
  assert.ok(largeMs < 20 * smallMs + 200, `${smallMs} ms for 10, ${largeMs} ms for 163,840`);
});

test('two runs at once delete everything once', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6, 5, 4]);
  await fillAged(cloned.url, 'trades', [7, 5]);
  const policies = { orders: daysAgo(2) };
  const results = await Promise.all([retain(opened, policies), retain(opened, policies)]);
  const rest = await retain(opened, policies);
  const messages = [...results, rest].reduce((sum, result) => sum + result.messages, 0);
  assert.equal(messages, 40);
  await assertAccounted(opened);
});
