import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ensurePartitions, partitionName } from '#archive/mod.ts';
import { batchOf, makeChannel, messagesOf, openTestDatabase } from '#test/support/archive.ts';
import { SESSION_A, testAppender } from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

/** A leap day, half past its last hour. */
const FAR_MS = Date.UTC(2048, 1, 29, 23, 30);

test('a partition has the name of its UTC day', () => {
  assert.equal(partitionName('segments', FAR_MS), 'segments_p20480229');
  assert.equal(partitionName('segment_sessions', FAR_MS + 1_800_000), 'segment_sessions_p20480301');
});

test('partitions are made once, for both tables, from today on', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const first = await ensurePartitions(opened.database, FAR_MS, 1);
  assert.deepEqual(first, {
    created: [
      'segments_p20480229',
      'segment_sessions_p20480229',
      'segments_p20480301',
      'segment_sessions_p20480301',
    ],
    blocked: [],
  });
  const second = await ensurePartitions(opened.database, FAR_MS, 1);
  assert.deepEqual(second, { created: [], blocked: [] });
});

test('a partition takes its day and nothing beside it', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await ensurePartitions(opened.database, FAR_MS, 0);
  const rows = await execute(
    cloned.url,
    `INSERT INTO segment_sessions
     SELECT 1, 1, 1, 1, at, 1, false FROM unnest(ARRAY['2048-02-28T23:59:59.999999Z',
       '2048-02-29T00:00:00Z', '2048-02-29T23:59:59.999999Z', '2048-03-01T00:00:00Z'
     ]::timestamptz[]) AS at
     RETURNING tableoid::regclass::text AS name`,
  );
  assert.deepEqual(
    rows.map((row) => row['name']),
    [
      'segment_sessions_default',
      'segment_sessions_p20480229',
      'segment_sessions_p20480229',
      'segment_sessions_default',
    ],
  );
});

test('many at once make each partition exactly once', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const runs = Array.from({ length: 8 }, () => ensurePartitions(opened.database, FAR_MS, 2));
  const created = (await Promise.all(runs)).flatMap((result) => result.created);
  assert.equal(created.length, 6);
  assert.equal(new Set(created).size, 6);
});

test('a day that the default partition already holds is reported and stays there', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await execute(
    cloned.url,
    "INSERT INTO segment_sessions VALUES (1, 1, 1, 1, '2048-02-29T12:00:00Z', 1, false)",
  );
  const result = await ensurePartitions(opened.database, FAR_MS, 0);
  assert.deepEqual(result.created, ['segments_p20480229']);
  assert.deepEqual(result.blocked, ['segment_sessions_p20480229']);
});

test('what is archived without a partition for the day is stored all the same', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const today = partitionName('segments', Date.now());
  await execute(cloned.url, `DROP TABLE ${today}`);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  await appender.append(batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 3)));
  const found = await execute(
    cloned.url,
    "SELECT count(*)::int AS messages FROM messages_between('orders', 1, 9)",
  );
  assert.deepEqual(found, [{ messages: 3 }]);
});
