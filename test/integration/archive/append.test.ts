import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acquireLease, Appender, loadSessions, renewLeases, releaseLease } from '#archive/mod.ts';
import type { ArchiveBatch } from '#archive/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import type { TestMessage } from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

const MESSAGES = `
  SELECT position::int, session, source, sequence::int, encode(payload, 'hex') AS payload,
         (extract(epoch FROM published_at) * 1000000)::bigint::text AS published
  FROM messages ORDER BY channel_id, position`;

function shown(messages: readonly TestMessage[], firstPosition: number): unknown[] {
  return messages.map((message, index) => ({
    position: firstPosition + index,
    session: message.session,
    source: `source of ${message.session}`,
    sequence: message.sequence,
    payload: Buffer.from(message.payload).toString('hex'),
    published: String(message.publishedAtUs),
  }));
}

test('what was appended is what the view shows, byte for byte and to the microsecond', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const odd: TestMessage[] = [
    { session: SESSION_B, sequence: 1, payload: Buffer.alloc(0), publishedAtUs: PUBLISHED_AT_US },
    { session: SESSION_A, sequence: 3, payload: Buffer.from([0, 255, 254]), publishedAtUs: 1 },
    { session: SESSION_B, sequence: 2, payload: Buffer.alloc(70_000, 7), publishedAtUs: 0 },
  ];
  const first = messagesOf(SESSION_A, 1, 2);
  const batch = batchOf({ ...place, expectedHead: 0 }, first, odd);
  const result = await appender.append(batch);
  assert.equal(result.outcome, 'committed');
  assert.equal(result.head, 5);
  assert.deepEqual(await execute(cloned.url, MESSAGES), shown([...first, ...odd], 1));
});

test('messages_between gives the positions asked for and no others', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const lists = [messagesOf(SESSION_A, 1, 5), messagesOf(SESSION_A, 6, 5)];
  await appender.append(batchOf({ ...place, expectedHead: 0 }, ...lists));
  const between = (range: string): Promise<Record<string, unknown>[]> =>
    execute(cloned.url, `SELECT position::int FROM messages_between('orders', ${range})`);
  const positions = async (range: string): Promise<unknown[]> =>
    (await between(range)).map((row) => row['position']);
  assert.deepEqual(await positions('4, 7'), [4, 5, 6, 7]);
  assert.deepEqual(await positions('0, 1'), [1]);
  assert.deepEqual(await positions('10, 4611686018427387904'), [10]);
  assert.deepEqual(await positions('11, 20'), []);
  assert.deepEqual(
    await execute(cloned.url, "SELECT 1 FROM messages_between('nothing', 1, 9)"),
    [],
  );
});

test('the same batch twice is written once and answered the same', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const batch = batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 3));
  const once = await appender.append(batch);
  assert.deepEqual(await appender.append(batch), once);
  assert.equal((await execute(cloned.url, MESSAGES)).length, 3);
});

test('an archiver that lost the channel is fenced and writes nothing', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const old = await makeChannel(opened, 'orders');
  const fresh = await makeChannel(opened, 'orders');
  assert.equal(fresh.epoch, old.epoch + 1);
  const batch = batchOf({ ...old, expectedHead: 0 }, messagesOf(SESSION_A, 1, 3));
  assert.deepEqual(await appender.append(batch), { outcome: 'fenced' });
  assert.deepEqual(await execute(cloned.url, MESSAGES), []);
  assert.deepEqual(await execute(cloned.url, 'SELECT * FROM sessions'), []);
  const allowed = await appender.append({ ...batch, ...fresh });
  assert.equal(allowed.outcome, 'committed');
});

/** What the server has after a failover to one that lacks the last commits. */
async function goBack(url: string, changes: string): Promise<void> {
  await execute(url, 'DELETE FROM segments', `UPDATE leases SET ${changes}`);
}

test('a server that lacks what it had committed is told from one that another writes', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  await appender.append(batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 3)));
  const next = batchOf({ ...place, expectedHead: 3 }, messagesOf(SESSION_A, 4, 2));
  await goBack(cloned.url, 'head = 0');
  const { epoch } = place;
  assert.deepEqual(await appender.append(next), { outcome: 'rolled_back', head: 0, epoch });
  await goBack(cloned.url, 'head = 3, epoch = epoch - 1');
  const older = { outcome: 'rolled_back', head: 3, epoch: epoch - 1 };
  assert.deepEqual(await appender.append(next), older);
  await goBack(cloned.url, "head = 0, holder = 'other'");
  assert.deepEqual(await appender.append(next), { outcome: 'fenced' });
  await execute(cloned.url, 'DELETE FROM leases');
  assert.deepEqual(await appender.append(next), { outcome: 'rolled_back', head: 0, epoch: 0 });
});

test('a lease of our epoch that another holds is not ours', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  await execute(cloned.url, "UPDATE leases SET holder = 'it''s \\other'");
  const batch = batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 3));
  assert.deepEqual(await appender.append(batch), { outcome: 'fenced' });
  await using odd = new Appender({
    url: cloned.url,
    applicationName: 'test',
    holder: "it's \\other",
  });
  assert.equal((await odd.append(batch)).outcome, 'committed');
});

test('a conflict is kept once, with the hashes that are known', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const batch: ArchiveBatch = {
    ...batchOf({ ...place, expectedHead: 0 }),
    conflicts: [
      {
        session: SESSION_A,
        firstSequence: 2,
        lastSequence: 3,
        storedSha256: null,
        heardSha256: Uint8Array.of(1, 2, 3),
        detectedAtUs: PUBLISHED_AT_US,
        evidence: 'a packet was repeated with another checksum',
      },
    ],
  };
  await appender.append(batch);
  await appender.append(batch);
  const kept = await opened.database
    .selectFrom('conflicts')
    .select(['first_sequence', 'last_sequence', 'archiver', 'evidence'])
    .select(['stored_sha256', 'heard_sha256', 'detected_at'])
    .execute();
  assert.deepEqual(kept, [
    {
      first_sequence: 2,
      last_sequence: 3,
      archiver: 'test',
      evidence: 'a packet was repeated with another checksum',
      stored_sha256: null,
      heard_sha256: Buffer.of(1, 2, 3),
      detected_at: PUBLISHED_AT_US,
    },
  ]);
});

test('a batch without segments stores progress and losses and leaves the head', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const batch: ArchiveBatch = {
    ...place,
    expectedHead: 0,
    segments: [],
    sessions: [
      {
        session: SESSION_B,
        tsi: '0a.1',
        isForeign: false,
        state: 'closed',
        firstArchived: 1,
        watermark: 4,
        lead: 4,
        resumeSqn: 2 ** 40,
        closedAtUs: PUBLISHED_AT_US,
      },
    ],
    losses: [
      {
        session: SESSION_B,
        firstSequence: 1,
        lastSequence: 4,
        cause: 'source_gone',
        afterPosition: 0,
        detectedAtUs: PUBLISHED_AT_US,
        firstSqn: undefined,
        nextSqn: 2 ** 40,
        packetCount: null,
      },
    ],
    heals: [],
    conflicts: [],
  };
  assert.equal((await appender.append(batch)).outcome, 'committed');
  assert.equal((await appender.append(batch)).outcome, 'committed', 'repeating is harmless');
  const losses = await execute(
    cloned.url,
    `SELECT session_id::text, first_sequence::int, last_sequence::int, cause, first_sqn,
            next_sqn::text
     FROM losses`,
  );
  assert.deepEqual(losses, [
    {
      session_id: String(2n ** 63n - 1n),
      first_sequence: 1,
      last_sequence: 4,
      cause: 'source_gone',
      first_sqn: null,
      next_sqn: String(2 ** 40),
    },
  ]);
  const leases = await execute(cloned.url, 'SELECT head::int FROM leases');
  assert.deepEqual(leases, [{ head: 0 }]);
});

test('open sessions are loaded as they were written', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const batch = batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_B, 1, 3));
  await appender.append(batch);
  assert.deepEqual(await loadSessions(opened.database, place.channelId), batch.sessions);
});

test('the bounds of a day grow with every batch', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const late = messagesOf(SESSION_A, 3, 1).map((one) => ({ ...one, publishedAtUs: 1_000_000 }));
  await appender.append(batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 2)));
  await appender.append(batchOf({ ...place, expectedHead: 2 }, late));
  const bounds = await opened.database.selectFrom('partition_bounds').selectAll().execute();
  assert.equal(bounds.length, 1);
  assert.equal(bounds[0].first_position, 1);
  assert.equal(bounds[0].last_position, 3);
  assert.equal(bounds[0].min_published_at, 1_000_000);
  assert.equal(bounds[0].max_published_at, PUBLISHED_AT_US + 1);
  assert.equal(bounds[0].partition_start % 86_400_000_000, 0);
});

test('a lease is held until it ends, and kept by renewing', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const { channelId, epoch } = await makeChannel(opened, 'orders');
  const refused = await acquireLease(opened.database, channelId, 'other', 60_000);
  assert.equal(refused.outcome, 'held');
  assert.equal(refused.holder, 'test');
  const renewed = await renewLeases(opened.database, [{ channelId, epoch }], 'test', 0);
  assert.deepEqual(renewed, [{ channelId, head: 0, commits: 0 }]);
  const taken = await acquireLease(opened.database, channelId, 'other', 60_000);
  assert.deepEqual(taken, { outcome: 'acquired', epoch: epoch + 1, head: 0, commits: 0 });
  assert.deepEqual(await renewLeases(opened.database, [{ channelId, epoch }], 'test', 60_000), []);
});

test('a released lease can be taken at once, and only its owner releases it', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const { channelId, epoch } = await makeChannel(opened, 'orders');
  const old = { channelId, epoch: epoch - 1 };
  assert.equal(await releaseLease(opened.database, old), false);
  assert.equal((await acquireLease(opened.database, channelId, 'other', 1)).outcome, 'held');
  assert.equal(await releaseLease(opened.database, { channelId, epoch }), true);
  assert.equal((await acquireLease(opened.database, channelId, 'other', 1)).outcome, 'acquired');
});
