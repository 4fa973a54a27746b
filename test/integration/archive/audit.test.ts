// A healthy archive is made by the appender; then SQL does to it, one thing at a time, what a bug
// or a hand could do, and the auditor has to name exactly that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit } from '#archive/mod.ts';
import type { AuditProblem, OpenDatabase } from '#archive/mod.ts';
import {
  batchOf,
  LOSS_PACKETS,
  makeChannel,
  messagesOf,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

/**
 * Positions 1–12 in three segments of four. Session A is 1–3, 6, 7 and 9 of nine, with a loss of
 * 4–5 and one of 8; session B is 1–6.
 */
async function fillArchive(url: string, opened: OpenDatabase): Promise<void> {
  const place = await makeChannel(opened, 'orders');
  const batch = batchOf(
    { ...place, expectedHead: 0 },
    [...messagesOf(SESSION_A, 1, 3), ...messagesOf(SESSION_B, 1, 1)],
    [...messagesOf(SESSION_B, 2, 2), ...messagesOf(SESSION_A, 6, 2)],
    [...messagesOf(SESSION_B, 4, 3), ...messagesOf(SESSION_A, 9, 1)],
  );
  const loss = {
    session: SESSION_A,
    cause: 'repair_expired',
    detectedAtUs: PUBLISHED_AT_US,
    ...LOSS_PACKETS,
  } as const;
  await using appender = testAppender(url);
  const result = await appender.append({
    ...batch,
    losses: [
      { ...loss, firstSequence: 4, lastSequence: 5, afterPosition: 6 },
      { ...loss, firstSequence: 8, lastSequence: 8, afterPosition: 8 },
    ],
  });
  assert.equal(result.outcome, 'committed');
}

test('an archive that accounts for every sequence has no problems', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillArchive(cloned.url, opened);
  await makeChannel(opened, 'empty');
  const [empty, orders] = await audit(opened.database);
  assert.deepEqual(empty.problems, []);
  assert.equal(empty.head, 0);
  const { channelId, ...found } = orders;
  assert.equal(typeof channelId, 'number');
  assert.deepEqual(found, {
    channel: 'orders',
    head: 12,
    sessionCount: 2,
    dueCount: 15,
    storedCount: 12,
    deletedCount: 0,
    lostCount: 3,
    lostPacketCount: 0,
    healedCount: 0,
    conflictCount: 0,
    problems: [],
  });
});

test('an unknown channel is not an empty one', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await assert.rejects(audit(opened.database, { channel: 'nothing' }), {
    code: 'BACKCAST_CHANNEL_UNKNOWN',
  });
});

interface Damage {
  readonly fact: string;
  readonly sql: string;
  readonly found: readonly AuditProblem[];
}

const A = SESSION_A;
const B = SESSION_B;
const A_NUMBER = String(Number.parseInt(SESSION_A, 16));

const DAMAGES: readonly Damage[] = [
  {
    fact: 'a loss that is gone leaves a hole',
    sql: 'DELETE FROM losses WHERE first_sequence = 4',
    found: [{ kind: 'hole', session: A, first: 4, last: 5 }],
  },
  {
    fact: 'a loss that is said to be healed and is not stored leaves a hole',
    sql: `UPDATE losses SET healed_at = now(), healed_position = 1, healed_by = 'x'
      WHERE first_sequence = 8`,
    found: [{ kind: 'hole', session: A, first: 8, last: 8 }],
  },
  {
    fact: 'a watermark that runs ahead leaves a hole',
    sql: `UPDATE sessions SET watermark = 11 WHERE session_id = ${A_NUMBER}`,
    found: [{ kind: 'hole', session: A, first: 10, last: 11 }],
  },
  {
    fact: 'a watermark that stays behind leaves messages unaccounted for',
    sql: `UPDATE sessions SET watermark = 7 WHERE session_id = ${A_NUMBER}`,
    found: [{ kind: 'unaccounted', session: A, first: 8, last: 9 }],
  },
  {
    fact: 'a session without a row leaves all its messages unaccounted for',
    sql: `DELETE FROM sessions WHERE session_id <> ${A_NUMBER}`,
    found: [{ kind: 'unaccounted', session: B, first: 1, last: 6 }],
  },
  {
    fact: 'a loss that covers stored messages is found with its extent',
    sql: 'UPDATE losses SET last_sequence = 7 WHERE first_sequence = 4',
    found: [{ kind: 'stored_and_lost', session: A, first: 6, last: 7 }],
  },
  {
    fact: 'two losses of the same sequence are found',
    sql: `INSERT INTO losses SELECT session_id, 5, 5, after_position, first_sqn, next_sqn,
            packet_count, healed_position, detected_at, declared_at, healed_at, channel_id, cause
          FROM losses WHERE first_sequence = 4`,
    found: [{ kind: 'lost_twice', session: A, first: 5, last: 5 }],
  },
  {
    fact: 'a segment that is gone is a hole in positions, sequences and indexes',
    sql: 'DELETE FROM segments WHERE first_position = 5',
    found: [
      { kind: 'hole', session: A, first: 6, last: 7 },
      { kind: 'hole', session: B, first: 2, last: 3 },
      { kind: 'position_hole', first: 5, last: 8 },
      { kind: 'index_wrong', session: A, first: 6, last: 7 },
      { kind: 'index_wrong', session: B, first: 2, last: 3 },
      { kind: 'bounds_wrong', first: 1, last: 12 },
    ],
  },
  {
    fact: 'sequences that are stored and named by a deletion are found',
    sql: `INSERT INTO deletions
          SELECT session_id, 6, 7, 5, 6, 2, now(), now(), now(), channel_id, 'x'
          FROM losses WHERE first_sequence = 4`,
    found: [
      { kind: 'deleted_and_kept', session: A, first: 6, last: 7 },
      { kind: 'position_overlap', first: 5, last: 6 },
    ],
  },
  {
    fact: 'a deletion with fewer messages than positions is found, and one named twice',
    sql: `WITH gone AS (DELETE FROM segments WHERE first_position = 5 RETURNING channel_id)
          INSERT INTO deletions
          SELECT session_id, first, last, 5, 8, last - first + 1, now(), now(), now(), channel_id,
                 'x'
          FROM gone, (VALUES (2561, 6, 7), (2561, 7, 7)) AS sequences (session_id, first, last)`,
    found: [
      { kind: 'hole', session: B, first: 2, last: 3 },
      { kind: 'deleted_twice', session: A, first: 7, last: 7 },
      { kind: 'deletion_wrong', first: 5, last: 8 },
      { kind: 'index_wrong', session: A, first: 6, last: 7 },
      { kind: 'index_wrong', session: B, first: 2, last: 3 },
      { kind: 'bounds_wrong', first: 1, last: 12 },
    ],
  },
  {
    fact: 'a head that runs ahead is a hole in positions',
    sql: 'UPDATE leases SET head = 14',
    found: [{ kind: 'position_hole', first: 13, last: 14 }],
  },
  {
    fact: 'a head that stays behind leaves positions beyond it',
    sql: 'UPDATE leases SET head = 10',
    found: [{ kind: 'beyond_head', first: 11, last: 12 }],
  },
  {
    fact: 'a payload that is gone from its array damages the segment',
    sql: 'UPDATE segments SET payload = payload[1:3] WHERE first_position = 5',
    found: [{ kind: 'segment_damaged', first: 5, last: 8 }],
  },
  {
    fact: 'a payload of another length damages the segment',
    sql: "UPDATE segments SET payload[2] = '\\x00' WHERE first_position = 5",
    found: [{ kind: 'segment_damaged', first: 5, last: 8 }],
  },
  {
    fact: 'a publish time outside the stated bounds damages the segment',
    sql: "UPDATE segments SET published_at[2] = '2000-01-01' WHERE first_position = 5",
    found: [{ kind: 'segment_damaged', first: 5, last: 8 }],
  },
  {
    fact: 'an index row that is gone is missed',
    sql: `DELETE FROM segment_sessions WHERE first_sequence = 6 AND session_id = ${A_NUMBER}`,
    found: [{ kind: 'index_wrong', session: A, first: 6, last: 7 }],
  },
  {
    fact: 'bounds that do not cover their day are found',
    sql: 'UPDATE partition_bounds SET last_position = 11',
    found: [
      { kind: 'bounds_wrong', first: 1, last: 11 },
      { kind: 'bounds_wrong', first: 1, last: 12 },
    ],
  },
];

for (const damage of DAMAGES) {
  test(damage.fact, async () => {
    await using cloned = await createTestDatabase();
    await using opened = openTestDatabase(cloned.url);
    await fillArchive(cloned.url, opened);
    await execute(cloned.url, damage.sql);
    const [orders] = await audit(opened.database, { channel: 'orders' });
    assert.deepEqual(orders.problems, damage.found);
  });
}

test('messages stored a second time are found where they stand', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await fillArchive(cloned.url, opened);
  await execute(
    cloned.url,
    `UPDATE segments SET run_first[1] = 1, run_length[1] = 2, run_session[1] = ${A_NUMBER}
     WHERE first_position = 5`,
  );
  const [orders] = await audit(opened.database);
  const twice = orders.problems.filter((problem) => problem.kind === 'stored_twice');
  assert.deepEqual(twice, [{ kind: 'stored_twice', session: A, first: 1, last: 2 }]);
});
