// Rewriting a day while others read and write it. Whatever a reader holds (a COPY, a function, a
// snapshot from before), it sees every message exactly once; the auditor has the last word.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { audit, findChannel, openReading, partitionName, rewritePartition } from '#archive/mod.ts';
import type { OpenDatabase } from '#archive/mod.ts';
import {
  archiveMessages,
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';
import { EVERYTHING } from '#test/support/whole-reading.ts';

const TODAY = `SELECT channel, position, session, sequence, published_at, archived_at,
  encode(payload, 'escape') AS payload FROM messages ORDER BY channel, position`;

interface Place {
  readonly channelId: number;
  readonly epoch: number;
}

/** Two channels: `orders` with 12 messages in four segments, `ticks` with 6 in two. */
async function fillToday(url: string, opened: OpenDatabase): Promise<[Place, Place]> {
  const orders = await makeChannel(opened, 'orders');
  const ticks = await makeChannel(opened, 'ticks');
  for (let index = 0; index < 4; index += 1) {
    const place = { ...orders, expectedHead: 3 * index };
    await archiveMessages(url, place, messagesOf(SESSION_A, 1 + 3 * index, 3));
  }
  await archiveMessages(
    url,
    { ...ticks, expectedHead: 0 },
    messagesOf(SESSION_B, 1, 3),
    messagesOf(SESSION_B, 4, 3),
  );
  return [orders, ticks];
}

async function problems(opened: OpenDatabase): Promise<unknown[]> {
  return (await audit(opened.database)).flatMap((channel) => channel.problems);
}

async function readAll(opened: OpenDatabase, name: string): Promise<number> {
  const channel = await findChannel(opened.database, name);
  const reading = await openReading(opened, channel, EVERYTHING);
  let count = 0;
  for (;;) {
    const page = await reading.nextPage(5);
    count += page.messageCount;
    if (page.isLast) return count;
  }
}

/** Waits until the day is copied and first tried to be frozen. */
async function copied(url: string): Promise<void> {
  await until('the copy is vacuumed', async () => {
    const [row] = await execute(
      url,
      `SELECT count(*)::int AS count FROM pg_stat_user_tables
       WHERE relname LIKE 'segments%fresh' AND last_vacuum IS NOT NULL`,
    );
    return row['count'] === 1;
  });
}

test('a day that is rewritten whole holds the same, and is stored the same way', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillToday(cloned.url, opened);
  const name = partitionName('segments', Date.now());
  const shape = `SELECT attname, attstorage, attcompression, attnotnull FROM pg_attribute
    WHERE attrelid = '${name}'::regclass AND attnum > 0 ORDER BY attname`;
  const before = [await execute(cloned.url, TODAY), await execute(cloned.url, shape)];
  const result = await rewritePartition(opened.database, Date.now());
  assert.equal(result.outcome, 'rewritten');
  assert.deepEqual([await execute(cloned.url, TODAY), await execute(cloned.url, shape)], before);
  assert.deepEqual(await problems(opened), []);
  const left = await execute(
    cloned.url,
    `SELECT conrelid::regclass::text AS name FROM pg_constraint WHERE conname LIKE '%day_check'
     UNION ALL SELECT relname FROM pg_class WHERE relname LIKE '%fresh'`,
  );
  assert.deepEqual(left, []);
});

test('space that deleted rows held is given back', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const payload = Buffer.from(Array.from({ length: 4_000 }, (_, at) => (at * at * 31) % 251));
  const messages = messagesOf(SESSION_A, 1, 200).map((message) => ({ ...message, payload }));
  await archiveMessages(cloned.url, { ...place, expectedHead: 0 }, messages);
  await execute(cloned.url, 'DELETE FROM segments');
  const result = await rewritePartition(opened.database, Date.now());
  assert.ok(result.outcome === 'rewritten');
  assert.ok(result.bytesBefore > result.bytesAfter + 4_000, JSON.stringify(result));
});

test('a day without partition is absent', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const result = await rewritePartition(opened.database, Date.UTC(1999, 0, 1));
  assert.deepEqual(result, { outcome: 'absent' });
});

test('a snapshot from before the rewrite sees all of the day after it', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillToday(cloned.url, opened);
  const reader = new Client({ connectionString: cloned.url });
  await reader.connect();
  try {
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await reader.query('SELECT 1 FROM channels');
    const rewriting = rewritePartition(opened.database, Date.now());
    await copied(cloned.url);
    const counted = await reader.query('SELECT count(*)::int AS count FROM messages');
    assert.deepEqual(counted.rows, [{ count: 18 }]);
    await reader.query('COMMIT');
    assert.equal((await rewriting).outcome, 'rewritten');
  } finally {
    await reader.end();
  }
  assert.deepEqual(await problems(opened), []);
});

test('readers and appends go on while their day is rewritten, and nothing is missed', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using reading = openTestDatabase(cloned.url);
  const [orders] = await fillToday(cloned.url, opened);
  let head = 12;
  const over = new AbortController();
  const append = async (): Promise<void> => {
    await using appender = testAppender(cloned.url);
    for (let count = 0; count < 60; count += 1) {
      const batch = batchOf({ ...orders, expectedHead: head }, messagesOf(SESSION_A, head + 1, 2));
      assert.equal((await appender.append(batch)).outcome, 'committed');
      head += 2;
    }
  };
  const read = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const atLeast = head;
      assert.ok((await readAll(reading, 'orders')) >= atLeast);
      assert.equal(await readAll(reading, 'ticks'), 6);
      const [row] = await execute(
        cloned.url,
        `SELECT count(*)::int AS count FROM messages_between('orders', 1, ${atLeast})`,
      );
      assert.equal(row['count'], atLeast);
      assert.deepEqual(await problems(reading), []);
    }
  };
  const outcomes: string[] = [];
  const rewrite = async (): Promise<void> => {
    while (outcomes.filter((outcome) => outcome === 'rewritten').length < 3) {
      outcomes.push((await rewritePartition(opened.database, Date.now())).outcome);
    }
    over.abort();
  };
  await Promise.all([append(), read(), rewrite()]);
  assert.equal(await readAll(opened, 'orders'), head);
  assert.deepEqual(await problems(opened), []);
});

test('of two rewrites of a day at once neither spoils the other', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillToday(cloned.url, opened);
  const before = await execute(cloned.url, TODAY);
  const wallMs = Date.now();
  const both = await Promise.all([1, 2].map(() => rewritePartition(opened.database, wallMs)));
  const outcomes = both.map(({ outcome }) => outcome);
  assert.ok(outcomes.includes('rewritten'), outcomes.join());
  assert.deepEqual(await execute(cloned.url, TODAY), before);
  assert.deepEqual(await problems(opened), []);
});

test('what is deleted while its day is copied does not come back', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const [orders, ticks] = await fillToday(cloned.url, opened);
  const deleting = new Client({ connectionString: cloned.url });
  await deleting.connect();
  try {
    await deleting.query('BEGIN');
    await deleting.query('DELETE FROM segments WHERE channel_id = $1', [ticks.channelId]);
    await deleting.query('DELETE FROM segments WHERE channel_id = $1 AND first_position < 5', [
      orders.channelId,
    ]);
    const rewriting = rewritePartition(opened.database, Date.now());
    await copied(cloned.url);
    await deleting.query('COMMIT');
    assert.equal((await rewriting).outcome, 'busy');
  } finally {
    await deleting.end();
  }
  assert.equal((await rewritePartition(opened.database, Date.now())).outcome, 'rewritten');
  const left = await execute(
    cloned.url,
    'SELECT channel_id, min(first_position)::int AS first FROM segments GROUP BY 1',
  );
  assert.deepEqual(left, [{ channel_id: orders.channelId, first: 7 }]);
});

test('a rewrite that is cut off leaves the day as it was, and the next one cleans up', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillToday(cloned.url, opened);
  const before = await execute(cloned.url, TODAY);
  const holder = new Client({ connectionString: cloned.url });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT count(*) FROM segments');
    const cut = rewritePartition(opened.database, Date.now());
    cut.catch(() => undefined);
    await until('the rewrite waits for a reader', async () => {
      const [row] = await execute(
        cloned.url,
        `SELECT pg_terminate_backend(pid) FROM pg_locks
         WHERE relation = 'segments'::regclass AND NOT granted`,
      );
      return row !== undefined;
    });
    await assert.rejects(cut, { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  } finally {
    await holder.end();
  }
  assert.deepEqual(await execute(cloned.url, TODAY), before);
  assert.equal((await rewritePartition(opened.database, Date.now())).outcome, 'rewritten');
  assert.deepEqual(await execute(cloned.url, TODAY), before);
  assert.deepEqual(await problems(opened), []);
});
