// What a receiver tells of sources that are not ours, through the batcher and the appender into
// PostgreSQL and back: numbers that name no message, sequences near 2^53, losses in packets, and an
// archiver that starts again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acquireLease,
  audit,
  ensureChannel,
  findChannel,
  findSession,
  findSessions,
  listLosses,
  loadSessions,
  type OpenDatabase,
  openReading,
  readBacklog,
  readCompleteness,
  releaseLease,
} from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import { type Framing, SEQUENCE_MAX, type SessionId } from '#base/mod.ts';
import { Batcher } from '#ingest/batcher.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { openTestDatabase, SESSION_A, SESSION_B, testAppender } from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { delivered, deliveredIn, lost } from '#test/support/receiver-events.ts';

const TSI = '0a0b0c0d0e0f.7500';
const WALL_US = 1_795_342_400_000_000;
const PER_PACKET = 65_536;
/** The number of the packet in which the session is first heard. */
const SQN = 2 ** 32 + 4_294_967_290;

function address(framing: Framing) {
  return { group: '239.1.2.3', port: 7_500, dport: 7_500, framing };
}

function opened(session: SessionId, isForeign: boolean): ReceiverEvent {
  return { kind: 'opened', session, tsi: TSI, isForeign };
}

function bytesOf(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => Buffer.from(text));
}

/** Messages that start in the packet `sqn` from `index` on; the rest of its numbers are unused. */
function zmqPacket(sqn: number, index: number, ...texts: readonly string[]): ReceiverEvent {
  const numbers = {
    firstSequence: sqn * PER_PACKET + index,
    lastSequence: sqn * PER_PACKET + PER_PACKET - 1,
    nextSqn: sqn + 1,
  };
  return deliveredIn('zmq', SESSION_A, numbers, bytesOf(...texts));
}

/** One life of an archiver: takes the channel, tells the events and commits them. */
async function archiveEvents(
  opened: OpenDatabase,
  url: string,
  framing: Framing,
  events: readonly ReceiverEvent[],
): Promise<Batcher> {
  const { database } = opened;
  const channelId = await ensureChannel(database, 'quotes', address(framing));
  const lease = await acquireLease(database, channelId, 'test', 60_000);
  assert.ok(lease.outcome === 'acquired');
  await using appender = testAppender(url);
  const batcher = new Batcher({
    channelId,
    epoch: lease.epoch,
    head: lease.head,
    commits: lease.commits,
    framing,
    sessions: await loadSessions(database, channelId),
    builders: new SegmentBuilderPool(),
    batchMessagesMax: 6,
    batchBytesMax: 1_000_000,
    batchAgeMs: 0,
  });
  for (const event of events) batcher.handleEvent(event, 0, WALL_US);
  for (let batch = batcher.pollBatch(0, true); batch !== undefined; ) {
    assert.equal((await appender.append(batch)).outcome, 'committed');
    batcher.committed();
    batch = batcher.pollBatch(0, true);
  }
  await releaseLease(database, { channelId, epoch: lease.epoch });
  return batcher;
}

async function readAll(
  opened: OpenDatabase,
  range: { readonly first?: number; readonly last?: number } = {},
): Promise<string[]> {
  const channel = await findChannel(opened.database, 'quotes');
  const request = { kind: 'sequences', session: SESSION_A, order: 'asc' } as const;
  const { first, last } = range;
  const reading = await openReading(opened, channel, { ...request, first, last });
  const texts: string[] = [];
  for (;;) {
    const page = await reading.nextPage(2);
    for (const entry of page.entries) {
      if (entry.kind === 'loss') {
        texts.push(`lost ${entry.packetCount}`);
        continue;
      }
      assert.equal(entry.kind, 'messages');
      const { segment, firstIndex, messageCount, firstSequence } = entry;
      for (let step = 0; step < messageCount; step += 1) {
        const start = segment.payloadStarts[firstIndex + step];
        const end = segment.payloadEnds[firstIndex + step];
        const text = segment.bytes.toString('latin1', start, end);
        texts.push(`${firstSequence + step - SQN * PER_PACKET} ${text.slice(2)}`);
      }
    }
    if (page.isLast) return texts;
  }
}

const STREAM: readonly ReceiverEvent[] = [
  opened(SESSION_A, true),
  zmqPacket(SQN, 3, 'a', 'b'),
  zmqPacket(SQN + 1, 0, 'c', 'd', 'e', 'f'),
  lost(SESSION_A, (SQN + 2) * PER_PACKET, (SQN + 5) * PER_PACKET - 1, SQN + 5),
  zmqPacket(SQN + 5, 0, 'g'),
];

test('a foreign zmq session is stored with its numbers, and audited', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await archiveEvents(opened, cloned.url, 'zmq', STREAM);
  assert.deepEqual(await readAll(opened), [
    '3 a',
    '4 b',
    `${PER_PACKET} c`,
    `${PER_PACKET + 1} d`,
    `${PER_PACKET + 2} e`,
    `${PER_PACKET + 3} f`,
    'lost 3',
    `${5 * PER_PACKET} g`,
  ]);
  const [quotes] = await audit(opened.database);
  assert.deepEqual(quotes.problems, []);
  const { head, dueCount, storedCount, lostCount, lostPacketCount } = quotes;
  assert.deepEqual([head, dueCount, storedCount, lostCount, lostPacketCount], [7, 10, 7, 3, 3]);
});

test('a foreign session begins with what was told first; a loss knows its packets', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await archiveEvents(opened, cloned.url, 'zmq', STREAM);
  const channel = await findChannel(opened.database, 'quotes');
  const session = await findSession(opened.database, channel, SESSION_A);
  assert.deepEqual(
    [session.isForeign, session.tsi, session.firstArchived, session.watermark],
    [true, TSI, SQN * PER_PACKET + 3, (SQN + 6) * PER_PACKET - 1],
  );
  const page = { session: undefined, after: undefined, limit: 10 };
  const [loss] = await listLosses(opened.database, channel, page);
  const { packetCount, firstSqn, nextSqn } = loss;
  assert.deepEqual([packetCount, firstSqn, nextSqn], [3, SQN + 2, SQN + 5]);
});

test('a range of a foreign session is answered for, also where it has no message', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await archiveEvents(opened, cloned.url, 'zmq', STREAM);
  const channel = await findChannel(opened.database, 'quotes');
  const start = SQN * PER_PACKET;
  const answer = async (first: number | undefined, last: number | undefined) => {
    const range = { session: SESSION_A, first, last };
    const found = await readCompleteness(opened.database, channel, range);
    return `${found.status} ${found.storedCount} ${found.lostCount}`;
  };
  assert.equal(await answer(undefined, start + PER_PACKET), 'complete null 0');
  assert.equal(await answer(start + 10, start + 20), 'complete null 0');
  assert.deepEqual(await readAll(opened, { first: start + 10, last: start + 20 }), []);
  assert.equal(await answer(undefined, undefined), 'partial null 3');
  assert.equal(await answer(start + 3 * PER_PACKET, undefined), 'partial null 2');
  assert.equal(await answer(start, start + 3), 'partial null 1');
  assert.equal(await answer(start + 5 * PER_PACKET, start + 6 * PER_PACKET), 'unsettled null 0');
  assert.deepEqual(await readAll(opened, { first: start + 5, last: start + PER_PACKET + 1 }), [
    `${PER_PACKET} c`,
    `${PER_PACKET + 1} d`,
  ]);
});

test('an archiver that starts again goes on in the same session of the same TSI', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const { database } = opened;
  await archiveEvents(opened, cloned.url, 'zmq', STREAM.slice(0, 2));
  const channelId = await ensureChannel(database, 'quotes', address('zmq'));
  const second = await archiveEvents(opened, cloned.url, 'zmq', []);
  assert.deepEqual(second.sessions.recallForeign(TSI), {
    session: SESSION_A,
    nextSequence: (SQN + 1) * PER_PACKET,
    nextSqn: SQN + 1,
    isForeign: true,
  });
  assert.equal(second.sessions.recallForeign('0a0b0c0d0e0f.7501'), undefined);
  const expired = { kind: 'closed', session: SESSION_A, cause: 'expired' } as const;
  const again = [STREAM[0], ...STREAM.slice(2), expired];
  const third = await archiveEvents(opened, cloned.url, 'zmq', again);
  assert.equal(third.sessions.recallForeign(TSI)?.session, SESSION_A);
  assert.equal((await readAll(opened)).length, 8);
  const fin = { kind: 'closed', session: SESSION_A, cause: 'fin' } as const;
  const fourth = await archiveEvents(opened, cloned.url, 'zmq', [STREAM[0], fin]);
  assert.equal(fourth.sessions.recallForeign(TSI), undefined);
  const [progress] = await findSessions(database, channelId, [SESSION_A, SESSION_B]);
  assert.deepEqual([progress.state, progress.watermark], ['closed', (SQN + 6) * PER_PACKET - 1]);
  const [quotes] = await audit(database);
  assert.deepEqual(quotes.problems, []);
});

function raw(session: SessionId, first: number, last: number, text: string): ReceiverEvent {
  const numbers = { firstSequence: first, lastSequence: last, nextSqn: last + 1 };
  return deliveredIn('raw', session, numbers, bytesOf(text));
}

function row(position: number, session: SessionId, sequence: number, text: string) {
  return { position, session, sequence: String(sequence), text, at_arrival: true };
}

test('raw numbers go up to 2^53 − 1, also beside a publisher of ours', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const ours = { kind: 'opened', session: SESSION_B, tsi: TSI, isForeign: false } as const;
  const first = SEQUENCE_MAX - 20;
  await archiveEvents(opened, cloned.url, 'raw', [
    { ...ours, session: SESSION_A, isForeign: true },
    ours,
    raw(SESSION_A, first, first, 'one'),
    raw(SESSION_B, 1, 1, 'own'),
    raw(SESSION_A, first + 1, first + 7, 'seven packets'),
    lost(SESSION_A, first + 8, first + 9, first + 10),
    raw(SESSION_A, first + 10, SEQUENCE_MAX, 'last'),
    raw(SESSION_B, 2, 2, 'own too'),
  ]);
  const rows = await execute(
    cloned.url,
    `SELECT position::int, session, sequence::text, convert_from(payload, 'UTF8') AS text,
            published_at = '${new Date(WALL_US / 1000).toISOString()}' AS at_arrival
     FROM messages_between('quotes', 1, 9)`,
  );
  assert.deepEqual(rows, [
    row(1, SESSION_A, first, 'one'),
    row(2, SESSION_B, 1, 'own'),
    row(3, SESSION_A, first + 1, 'seven packets'),
    row(4, SESSION_A, first + 10, 'last'),
    row(5, SESSION_B, 2, 'own too'),
  ]);
  const [quotes] = await audit(opened.database);
  assert.deepEqual(quotes.problems, []);
  assert.deepEqual([quotes.dueCount, quotes.lostPacketCount], [7, 2]);
});

test('what is outstanding of a foreign source counts in packets', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const lead = { kind: 'lead', session: SESSION_A, sequence: (SQN + 4) * PER_PACKET - 1 } as const;
  await archiveEvents(opened, cloned.url, 'zmq', [STREAM[0], lead]);
  assert.equal((await readBacklog(opened.database)).messagesOutstanding, 0);
  await archiveEvents(opened, cloned.url, 'zmq', [STREAM[0], STREAM[1], lead]);
  assert.equal((await readBacklog(opened.database)).messagesOutstanding, 3);
});

test('segments without unused numbers are copied as ever', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const ours = { kind: 'opened', session: SESSION_A, tsi: TSI, isForeign: false } as const;
  const told = delivered(SESSION_A, 1, bytesOf('a', 'b'));
  await archiveEvents(opened, cloned.url, 'native', [ours, told]);
  const rows = await execute(cloned.url, 'SELECT run_last FROM segments');
  assert.deepEqual(rows, [{ run_last: null }]);
});

test('a channel with sessions keeps its framing; one without takes another', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const { database } = opened;
  const channelId = await ensureChannel(database, 'quotes', address('raw'));
  assert.equal(await ensureChannel(database, 'quotes', address('zmq')), channelId);
  await archiveEvents(opened, cloned.url, 'zmq', STREAM);
  await assert.rejects(ensureChannel(database, 'quotes', address('raw')), {
    code: 'BACKCAST_FRAMING_CHANGED',
    message: /quotes is archived with the framing zmq/,
  });
});

const A_NUMBER = String(Number.parseInt(SESSION_A, 16));
const NEXT = (SQN + 6) * PER_PACKET;

const DAMAGES = [
  {
    fact: 'unused numbers that are gone from a run leave a hole',
    sql: 'UPDATE segments SET run_last[1] = run_last[1] - 9 WHERE first_position = 1',
    found: ['hole', 'index_wrong'],
  },
  {
    fact: 'a run that accounts for a loss as well is found',
    sql: `UPDATE losses SET first_sequence = first_sequence - 5`,
    found: ['stored_and_lost'],
  },
  {
    fact: 'two messages that account for the same numbers are found',
    sql: `UPDATE segments SET run_last[1] = run_last[1] + 2 WHERE first_position = 1`,
    found: ['stored_twice'],
  },
  {
    fact: 'a run that ends before its last message damages the segment',
    sql: `UPDATE segments SET run_last[1] = run_first[1] WHERE first_position = 1`,
    found: ['hole', 'segment_damaged', 'index_wrong'],
  },
  {
    fact: 'a run without a last number beside one that has one damages the segment',
    sql: `UPDATE segments SET run_last[2] = NULL WHERE first_position = 1`,
    found: ['hole', 'segment_damaged', 'index_wrong'],
  },
  {
    fact: 'unused numbers in a session of ours are holes',
    sql: `UPDATE sessions SET is_foreign = false`,
    found: ['hole'],
  },
  {
    fact: 'a watermark beyond what the last message accounts for leaves a hole',
    sql: `UPDATE sessions SET watermark = ${NEXT} WHERE session_id = ${A_NUMBER}`,
    found: ['hole'],
  },
];

for (const { fact, sql, found } of DAMAGES) {
  test(fact, async () => {
    await using cloned = await createTestDatabase();
    await using opened = openTestDatabase(cloned.url);
    await archiveEvents(opened, cloned.url, 'zmq', STREAM);
    await execute(cloned.url, sql);
    const [quotes] = await audit(opened.database);
    const kinds = new Set(quotes.problems.map(({ kind }) => kind));
    assert.deepEqual([...kinds], found);
  });
}
