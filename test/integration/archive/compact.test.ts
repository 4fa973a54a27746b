// A whole pass over channels as an archiver leaves them, beside readers, appends and another pass.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import {
  audit,
  compact,
  ensurePartitions,
  findChannel,
  firstPositionOf,
  type OpenDatabase,
  openReading,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
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
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

/** A channel that got a message every ten seconds from noon on, each a segment of its own. */
function quietDeliveries(session: SessionId, count: number): Delivery[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(10 * index),
    messages: [
      {
        session,
        sequence: index + 1,
        publishedAtUs: instantAt(10 * index),
        payload: Buffer.from(`quote ${index}`),
      },
    ],
  }));
}

async function fillQuiet(url: string, opened: OpenDatabase, count: number): Promise<void> {
  await ensurePartitions(opened.database, instantAt(0) / 1000, 0);
  for (const [name, session] of [
    ['quotes', SESSION_A],
    ['rates', SESSION_B],
  ] as const) {
    await fillChannel(url, { name, deliveries: quietDeliveries(session, count) });
  }
}

async function segmentCount(url: string): Promise<unknown> {
  const [row] = await execute(url, 'SELECT count(*)::int AS segments FROM segments');
  return row['segments'];
}

/** Positions and sequences of a channel, read a page at a time, or by its session. */
async function read(opened: OpenDatabase, name: string, session?: SessionId): Promise<string> {
  const channel = await findChannel(opened.database, name);
  const reading = await openReading(
    opened,
    channel,
    session === undefined
      ? {
          kind: 'positions',
          after: undefined,
          before: undefined,
          publishedFromUs: undefined,
          publishedToUs: undefined,
          order: 'asc',
        }
      : { kind: 'sequences', session, first: undefined, last: undefined, order: 'desc' },
  );
  const seen: number[] = [];
  for (;;) {
    const page = await reading.nextPage(50);
    for (const entry of page.entries) {
      assert.ok(entry.kind === 'messages');
      const first = session === undefined ? firstPositionOf(entry) : entry.firstSequence;
      for (let count = 0; count < entry.messageCount; count += 1) {
        seen.push(session === undefined ? first + count : first + entry.messageCount - 1 - count);
      }
    }
    if (page.isLast) return seen.join();
  }
}

async function problems(opened: OpenDatabase): Promise<unknown[]> {
  return (await audit(opened.database)).flatMap((channel) => channel.problems);
}

const SEGMENTS = { mergedSegments: 800, madeSegments: 3 };

test('a message every ten seconds becomes a segment an hour, then no work is left', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 800);
  const channels = [
    { channel: 'quotes', ...SEGMENTS },
    { channel: 'rates', ...SEGMENTS },
  ];
  const dry = await compact(opened, { isDryRun: true });
  assert.deepEqual(dry.channels, channels);
  assert.equal(await segmentCount(cloned.url), 1_600);
  assert.deepEqual((await compact(opened)).channels, channels);
  assert.equal(await segmentCount(cloned.url), 6);
  assert.deepEqual((await compact(opened)).channels, []);
  assert.deepEqual(await problems(opened), []);
});

test('one channel is merged where one is asked for', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 20);
  const { channels } = await compact(opened, { channel: 'rates' });
  assert.deepEqual(channels, [{ channel: 'rates', mergedSegments: 20, madeSegments: 1 }]);
  assert.equal(await segmentCount(cloned.url), 21);
});

test('what was archived in the last minutes, and what is too little, stays', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = await makeChannel(opened, 'orders');
  for (let head = 0; head < 20; head += 1) {
    const next = { ...place, expectedHead: head };
    await archiveMessages(cloned.url, next, messagesOf(SESSION_A, head + 1, 1));
  }
  await fillChannel(cloned.url, { name: 'few', deliveries: quietDeliveries(SESSION_B, 7) });
  await compact(opened);
  assert.equal(await segmentCount(cloned.url), 27);
});

test('a pass that may not go on ends, and another takes up where it was', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 800);
  let pieces = 3;
  await compact(opened, { mayGoOn: () => Promise.resolve((pieces -= 1) >= 0) });
  assert.equal(await segmentCount(cloned.url), 1_600 - 359);
  await compact(opened);
  assert.equal(await segmentCount(cloned.url), 6);
  assert.deepEqual(await problems(opened), []);
});

test('a merge that is cut off leaves the segments as they were', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 100);
  const reader = new Client({ connectionString: cloned.url });
  await reader.connect();
  try {
    await reader.query('BEGIN');
    await reader.query('SELECT 1 FROM segment_sessions WHERE first_sequence = 50 FOR UPDATE');
    const cutting = compact(opened);
    cutting.catch(() => undefined);
    await until('the merge waits for the index', async () => {
      const rows = await execute(
        cloned.url,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM segment_sessions%'`,
      );
      return rows.length > 0;
    });
    await assert.rejects(cutting, { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  } finally {
    await reader.end();
  }
  assert.equal(await segmentCount(cloned.url), 200);
  assert.deepEqual(await problems(opened), []);
  await compact(opened);
  assert.equal(await segmentCount(cloned.url), 2);
});

test('readers of any kind miss and repeat nothing while segments are merged', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using reading = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 1_500);
  const ascending = Array.from({ length: 1_500 }, (_, index) => index + 1);
  const over = new AbortController();
  let rounds = 0;
  const readers = [
    async () => assert.equal(await read(reading, 'quotes'), ascending.join()),
    async () =>
      assert.equal(await read(reading, 'rates', SESSION_B), ascending.toReversed().join()),
    async () => assert.deepEqual(await problems(reading), []),
    async () => {
      const [row] = await execute(
        cloned.url,
        "SELECT count(*)::int AS count FROM messages_between('quotes', 1, 1500)",
      );
      assert.equal(row['count'], 1_500);
    },
  ].map(async (once) => {
    while (!over.signal.aborted) {
      await once();
      rounds += 1;
    }
  });
  const merging = async (): Promise<void> => {
    // Gently, so that many readings fall between the pieces; two at once, who may be in each
    // other's way.
    const mayGoOn = async (): Promise<boolean> => {
      await read(opened, 'rates');
      return true;
    };
    await Promise.all([compact(opened, { mayGoOn }), compact(opened, { mayGoOn })]);
    over.abort();
  };
  await Promise.all([merging(), ...readers]);
  assert.ok(rounds > 4);
  await compact(opened);
  assert.equal(await segmentCount(cloned.url), 10);
});

test('appends to a channel go on while its older segments are merged', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillQuiet(cloned.url, opened, 400);
  const { channelId } = await findChannel(opened.database, 'quotes');
  await execute(
    cloned.url,
    `UPDATE leases SET holder = 'test', expires_at = now() + interval '1 hour'`,
  );
  await using appender = testAppender(cloned.url);
  let head = 400;
  const append = async (): Promise<boolean> => {
    const place = { channelId, epoch: 1, expectedHead: head };
    const batch = batchOf(place, messagesOf(SESSION_A, head + 1, 1));
    assert.equal((await appender.append(batch)).outcome, 'committed');
    head += 1;
    return true;
  };
  await compact(opened, { mayGoOn: append });
  assert.ok(head > 402);
  assert.deepEqual(await problems(opened), []);
  assert.equal((await read(opened, 'quotes')).split(',').length, head);
});
