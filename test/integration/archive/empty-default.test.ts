// Days whose partition was missing when their messages came: because somebody dropped it, or a
// clock jumped. Nothing stops for it, and the day gets its partition later, beside readers and
// appends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, emptyDefault, ensurePartitions, partitionName } from '#archive/mod.ts';
import type { OpenDatabase } from '#archive/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
  testAppender,
} from '#test/support/archive.ts';
import { fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

const STORED = `SELECT channel, position, session, sequence, archived_at, payload FROM messages
  ORDER BY channel, position`;
const PLACES = `SELECT DISTINCT tableoid::regclass::text AS name FROM segments
  UNION SELECT DISTINCT tableoid::regclass::text FROM segment_sessions ORDER BY 1`;
const DAY_SECONDS = 86_400;
/** None of the days below is this one, or near it. */
const LATER_MS = Date.UTC(2050, 0, 1);

async function placesOf(url: string): Promise<unknown[]> {
  return (await execute(url, PLACES)).map((row) => row['name']);
}

async function problems(opened: OpenDatabase): Promise<unknown[]> {
  return (await audit(opened.database)).flatMap((channel) => channel.problems);
}

test('days that a jumping clock made are moved to partitions of their own', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const jumps = [0, 31 * DAY_SECONDS, -2 * DAY_SECONDS, -2 * DAY_SECONDS + 5];
  await fillChannel(cloned.url, {
    name: 'orders',
    deliveries: jumps.map((seconds, index) => ({
      kind: 'segment',
      archivedAtUs: instantAt(seconds),
      messages: [
        {
          session: SESSION_A,
          sequence: index + 1,
          publishedAtUs: instantAt(index),
          payload: Buffer.from('order'),
        },
      ],
    })),
  });
  const before = await execute(cloned.url, STORED);
  assert.deepEqual(await placesOf(cloned.url), ['segment_sessions_default', 'segments_default']);
  const startsMs = [18, 20].map((day) => Date.UTC(2026, 10, day));
  startsMs.push(Date.UTC(2026, 11, 21));
  assert.deepEqual(await emptyDefault(opened.database, LATER_MS), { outcome: 'emptied', startsMs });
  assert.deepEqual(
    await placesOf(cloned.url),
    ['segment_sessions_p', 'segments_p'].flatMap((name) =>
      ['20261118', '20261120', '20261221'].map((day) => name + day),
    ),
  );
  assert.deepEqual(await execute(cloned.url, STORED), before);
  assert.deepEqual(await problems(opened), []);
  assert.deepEqual(await emptyDefault(opened.database, LATER_MS), { outcome: 'empty' });
  const blocked = await ensurePartitions(opened.database, Date.UTC(2026, 11, 21), 0);
  assert.deepEqual(blocked, { created: [], blocked: [] });
});

test('the emptied partitions are made anew as they were', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const shape = `SELECT attname, attstorage, attcompression, attnotnull FROM pg_attribute
    WHERE attrelid IN ('segments_default'::regclass, 'segment_sessions_default'::regclass)
      AND attnum > 0 ORDER BY attrelid::regclass::text, attname`;
  const before = await execute(cloned.url, shape);
  await execute(
    cloned.url,
    "INSERT INTO segment_sessions VALUES (1, 1, 1, 1, '2048-02-29T12:00:00Z', 1, false)",
  );
  const { outcome } = await emptyDefault(opened.database, LATER_MS);
  assert.equal(outcome, 'emptied');
  assert.deepEqual(await execute(cloned.url, shape), before);
  assert.deepEqual(await placesOf(cloned.url), ['segment_sessions_p20480229']);
});

for (const dropped of [['segments'], ['segments', 'segment_sessions']] as const) {
  test(`a day without ${dropped.join(' and ')} goes on, and is moved when it is over`, async () => {
    await using cloned = await createTestDatabase();
    await using opened = openTestDatabase(cloned.url);
    const names = dropped.map((table) => partitionName(table, Date.now()));
    await execute(cloned.url, `DROP TABLE ${names.join(', ')}`);
    const place = await makeChannel(opened, 'orders');
    await using appender = testAppender(cloned.url);
    let head = 0;
    const append = async (): Promise<void> => {
      const batch = batchOf({ ...place, expectedHead: head }, messagesOf(SESSION_A, head + 1, 2));
      assert.equal((await appender.append(batch)).outcome, 'committed');
      head += 2;
    };
    await append();
    const wallMs = Date.now();
    assert.deepEqual(await emptyDefault(opened.database, wallMs), { outcome: 'early' });
    const over = new AbortController();
    const read = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const atLeast = head;
        const [row] = await execute(
          cloned.url,
          `SELECT count(*)::int AS count FROM messages_between('orders', 1, ${atLeast})`,
        );
        assert.equal(row['count'], atLeast);
      }
    };
    const move = async (): Promise<void> => {
      // As if the day were over, while it is not: whatever comes out, nothing may be lost.
      const early = emptyDefault(opened.database, LATER_MS);
      for (let count = 0; count < 20; count += 1) await append();
      await early;
      while ((await emptyDefault(opened.database, LATER_MS)).outcome === 'busy') await append();
      over.abort();
    };
    await Promise.all([read(), move()]);
    await append();
    const places = await placesOf(cloned.url);
    assert.ok(!places.some((name) => String(name).endsWith('default')), places.join());
    const [row] = await execute(cloned.url, 'SELECT count(*)::int AS count FROM messages');
    assert.equal(row['count'], head);
    assert.deepEqual(await problems(opened), []);
  });
}
