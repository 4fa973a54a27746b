// Readers who share their reads: that they ask the database little, and that each sees what he
// would have seen alone, whatever became of the archive since others read it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  compact,
  ensurePartitions,
  loadRetentionPlan,
  type MessageRequest,
  type OpenDatabase,
  runRetention,
  type SharedReads,
  shareReads,
} from '#archive/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  fillAged,
  makePastPartitions,
} from '#test/support/aged-archive.ts';
import {
  archiveMessages,
  LOSS_PACKETS,
  makeChannel,
  messagesOf,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  testAppender,
} from '#test/support/archive.ts';
import {
  type Delivery,
  fillChannel,
  instantAt,
  type SentMessage,
} from '#test/support/filled-archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { EVERYTHING, readWhole, type WholeReading } from '#test/support/whole-reading.ts';

const BYTES_MAX = 64 * 1_048_576;
const WIDE = { messagesMax: Number.MAX_SAFE_INTEGER, isStateless: false };
const from = (after: number): MessageRequest => ({ ...EVERYTHING, after });
const BY_SEQUENCE: MessageRequest = {
  kind: 'sequences',
  session: SESSION_A,
  first: undefined,
  last: undefined,
  order: 'asc',
};

function read(
  reads: SharedReads,
  name: string,
  request: MessageRequest = EVERYTHING,
): Promise<WholeReading> {
  return readWhole(reads.begin(), name, request, WIDE);
}

function positionsOf({ messages }: WholeReading): number[] {
  return messages.map(({ position }) => position);
}

function through(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** Statements that `work` sends to the database of `opened`. */
async function statementsOf(opened: OpenDatabase, work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const counted = (): void => {
    count += 1;
  };
  opened.pool.on('acquire', counted);
  await work();
  opened.pool.off('acquire', counted);
  return count;
}

/** Segments of 1,000 messages of 140 bytes, half a second each. */
function busySegments(count: number): Delivery[] {
  const payload = Buffer.alloc(140, 'x');
  return Array.from({ length: count }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(index / 2),
    messages: Array.from({ length: 1_000 }, (_unused, nth) => ({
      session: SESSION_A,
      sequence: index * 1_000 + nth + 1,
      publishedAtUs: instantAt((index + nth / 1_000) / 2),
      payload,
    })),
  }));
}

function sentMessages(first: number, count: number): SentMessage[] {
  return messagesOf(SESSION_A, first, count).map((message) => {
    return { ...message, payload: Buffer.from(message.payload) };
  });
}

const READERS = 50;
const BUSY_SEGMENTS = 160;

test('fifty readers at once send less than twice the statements of one', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillChannel(cloned.url, { name: 'busy', deliveries: busySegments(BUSY_SEGMENTS) });
  const alone = await statementsOf(opened, () =>
    read(shareReads(opened, BYTES_MAX), 'busy', from(100)),
  );
  const reads = shareReads(opened, BYTES_MAX);
  const together = await statementsOf(opened, async () => {
    const readers = Array.from({ length: READERS }, async (_, index) => {
      const got = await read(reads, 'busy', from(100 + 7 * index));
      assert.equal(got.messages.length, BUSY_SEGMENTS * 1_000 - 100 - 7 * index);
    });
    await Promise.all(readers);
  });
  assert.ok(alone > BUSY_SEGMENTS / 2, `${alone} statements of one`);
  assert.ok(together <= 2 * alone, `${together} statements of ${READERS}, ${alone} of one`);
});

test('so do fifty readers of the same interval of publish times', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillChannel(cloned.url, { name: 'busy', deliveries: busySegments(BUSY_SEGMENTS) });
  const published = { publishedFromUs: instantAt(10.25), publishedToUs: instantAt(70.25) };
  const request: MessageRequest = { ...EVERYTHING, ...published };
  const alone = await statementsOf(opened, () =>
    read(shareReads(opened, BYTES_MAX), 'busy', request),
  );
  const reads = shareReads(opened, BYTES_MAX);
  const together = await statementsOf(opened, async () => {
    const readers = Array.from({ length: READERS }, async () => {
      assert.equal((await read(reads, 'busy', request)).messages.length, 120_000);
    });
    await Promise.all(readers);
  });
  assert.ok(together <= 2 * alone, `${together} statements of ${READERS}, ${alone} of one`);
});

test('who comes when others have read asks only whether anything has changed', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillChannel(cloned.url, { name: 'busy', deliveries: busySegments(BUSY_SEGMENTS) });
  const reads = shareReads(opened, BYTES_MAX);
  const first = await statementsOf(opened, () => read(reads, 'busy', from(100)));
  const later = await statementsOf(opened, async () => {
    for (const after of [0, 100, 77_777]) {
      const got = await read(reads, 'busy', from(after));
      assert.equal(got.messages.length, BUSY_SEGMENTS * 1_000 - after);
    }
  });
  assert.ok(first > BUSY_SEGMENTS / 2, `${first} statements of the first`);
  // What lies before 100 only the second one reads.
  assert.ok(later <= 3 + 1, `${later} statements of three who came later`);
});

test('what is archived meanwhile costs those who come later nothing of the past', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = await makeChannel(opened, 'busy');
  let head = 0;
  const grow = async (count: number): Promise<void> => {
    const messages = messagesOf(SESSION_A, head + 1, count);
    head = await archiveMessages(cloned.url, { ...place, expectedHead: head }, messages);
  };
  for (let batch = 0; batch < 20; batch += 1) await grow(4_000);
  const reads = shareReads(opened, BYTES_MAX);
  const first = await statementsOf(opened, () => read(reads, 'busy'));
  for (let round = 0; round < 5; round += 1) {
    await grow(10);
    const later = await statementsOf(opened, async () => {
      assert.equal((await read(reads, 'busy')).messages.length, head);
    });
    // Where the channel ends, what is new, and what is lost about there.
    assert.ok(later <= 3, `${later} statements of one who came later, ${first} of the first`);
  }
});

test('a loss that was declared behind the last message is told to who comes after', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = { ...(await makeChannel(opened, 'orders')), expectedHead: 0 };
  const head = await archiveMessages(cloned.url, place, messagesOf(SESSION_A, 1, 3));
  await using appender = testAppender(cloned.url);
  const reads = shareReads(opened, BYTES_MAX);
  for (const first of [4, 5, 6]) {
    const before = await read(reads, 'orders');
    assert.equal(before.losses.length, first - 4);
    const loss = { session: SESSION_A, firstSequence: first, lastSequence: first };
    const told = { cause: 'repair_expired' as const, afterPosition: head };
    const losses = [{ ...loss, ...told, detectedAtUs: PUBLISHED_AT_US, ...LOSS_PACKETS }];
    const nothing = { segments: [], sessions: [], heals: [], conflicts: [] };
    await appender.append({ ...place, expectedHead: head, ...nothing, losses });
  }
  assert.equal((await read(reads, 'orders')).losses.length, 3);
});

test('who begins after a commit sees it, whatever others have just read', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const reads = shareReads(opened, BYTES_MAX);
  let head = 0;
  for (let round = 0; round < 20; round += 1) {
    const messages = messagesOf(SESSION_A, head + 1, 3);
    head = await archiveMessages(cloned.url, { ...place, expectedHead: head }, messages);
    const both = await Promise.all([read(reads, 'orders'), read(reads, 'orders')]);
    for (const got of both) assert.deepEqual(positionsOf(got), through(head));
  }
});

test('a loss that was healed is lost to nobody who begins after that', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const [before, behind] = [1, 5].map((first) => ({
    kind: 'segment' as const,
    archivedAtUs: instantAt(first),
    messages: sentMessages(first, 2),
  }));
  const loss: Delivery = {
    kind: 'loss',
    session: SESSION_A,
    first: 3,
    last: 4,
    cause: 'repair_expired',
    detectedAtUs: instantAt(4),
  };
  await fillChannel(cloned.url, { name: 'orders', deliveries: [before, loss, behind] });
  const reads = shareReads(opened, BYTES_MAX);
  assert.equal((await read(reads, 'orders')).losses.length, 1);
  await execute(
    cloned.url,
    `UPDATE losses SET healed_at = now(), healed_position = 1, healed_by = 'another'`,
  );
  assert.deepEqual((await read(reads, 'orders')).losses, []);
});

test('what a policy has deleted is given to nobody who begins after that', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [5, 3, 1]);
  const reads = shareReads(opened, BYTES_MAX);
  assert.deepEqual(positionsOf(await read(reads, 'orders')), through(30));
  const plan = await loadRetentionPlan(opened.database, {
    policyOf: () => ({ ageMs: 4 * DAY_MS }),
  });
  await runRetention(opened.database, plan);
  const got = await read(reads, 'orders');
  assert.deepEqual(positionsOf(got), through(30).slice(10));
  assert.deepEqual(
    got.deletions.map(({ first, last }) => [first, last]),
    [[1, 10]],
  );
});

test('a deleted day among positions of another is given to nobody who comes later', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  // The clock of the database stood four days back for a while, so that one day encloses another.
  const deliveries = [agedSegment(2, 1, 4), agedSegment(6, 5, 4), agedSegment(2, 9, 4)];
  const sessions = agedSessions(AGED_SESSION);
  await fillChannel(cloned.url, { name: 'orders', deliveries, sessions });
  const reads = shareReads(opened, BYTES_MAX);
  assert.deepEqual(positionsOf(await read(reads, 'orders')), through(12));
  const plan = await loadRetentionPlan(opened.database, {
    policyOf: () => ({ ageMs: 4 * DAY_MS }),
  });
  await runRetention(opened.database, plan);
  const got = await read(reads, 'orders');
  assert.deepEqual(positionsOf(got), [1, 2, 3, 4, 9, 10, 11, 12]);
  assert.deepEqual(
    got.deletions.map(({ firstPosition, lastPosition }) => [firstPosition, lastPosition]),
    [[5, 8]],
  );
});

test('segments that were merged since are read like those they were made of', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await ensurePartitions(opened.database, instantAt(0) / 1000, 0);
  const deliveries = through(40).map(
    (sequence): Delivery => ({
      kind: 'segment',
      archivedAtUs: instantAt(sequence),
      messages: sentMessages(sequence, 1),
    }),
  );
  await fillChannel(cloned.url, { name: 'orders', deliveries });
  const reads = shareReads(opened, BYTES_MAX);
  const once = await Promise.all([read(reads, 'orders'), read(reads, 'orders', BY_SEQUENCE)]);
  assert.equal((await compact(opened)).channels[0].madeSegments, 1);
  const again = await Promise.all([read(reads, 'orders'), read(reads, 'orders', BY_SEQUENCE)]);
  assert.deepEqual(again, once);
  assert.deepEqual(positionsOf(again[1]), through(40));
});

test('a server that took over with another history is read afresh', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const place = { ...(await makeChannel(opened, 'orders')), expectedHead: 0 };
  await archiveMessages(cloned.url, place, messagesOf(SESSION_A, 1, 3));
  const reads = shareReads(opened, BYTES_MAX);
  const sequencesOf = async (): Promise<number[]> => {
    const { messages } = await read(reads, 'orders');
    return messages.map(({ sequence }) => sequence);
  };
  assert.deepEqual(await sequencesOf(), [1, 2, 3]);
  await execute(cloned.url, 'UPDATE segments SET run_first = ARRAY[101]');
  assert.deepEqual(await sequencesOf(), [1, 2, 3], 'what is kept is what is read');
  const ended = new Promise((resolve) => opened.pool.once('remove', resolve));
  await execute(
    cloned.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()`,
  );
  await ended;
  assert.deepEqual(await sequencesOf(), [101, 102, 103]);
});

test('more than may be kept is read again, and right', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillChannel(cloned.url, { name: 'busy', deliveries: busySegments(20) });
  const reads = shareReads(opened, 1_048_576);
  for (const order of ['asc', 'desc', 'asc'] as const) {
    const got = positionsOf(await read(reads, 'busy', { ...EVERYTHING, order }));
    assert.deepEqual(order === 'asc' ? got : got.toReversed(), through(20_000));
    assert.ok(reads.counts.segmentBytes <= 1_048_576, `${reads.counts.segmentBytes} bytes`);
  }
});
