// Plans over four hundred daily partitions, one of them full: what looks cheap on a fresh database
// must stay so after a year. The partitions are made by SQL, which the appender's clock does not
// allow.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findChannel, openReading, type OpenDatabase } from '#archive/mod.ts';
import { makeChannel, openTestDatabase } from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import type { TestDatabase } from '#test/support/postgres.ts';
import { EVERYTHING } from '#test/support/whole-reading.ts';

const DAYS = 400;
const DAY_MESSAGES = 100;
/** Day 200 has a segment for each of its messages, from position 20,001 on. */
const FULL_DAY = 200;
const FULL_DAY_SEGMENTS = 2_000;
/** The day that holds position 20,050. */
const WINDOW = `archived_at >= '2020-07-19Z' AND archived_at < '2020-07-20Z'`;

/** What is not read whole for want of a better plan; the other days have one row. */
const LARGE = ['segments_t200', 'segment_sessions_t200', 'losses', 'deletions'];

let archive: TestDatabase;

function makePartitions(): string {
  return `
DO $$ DECLARE start timestamptz; BEGIN
  FOR day IN 0..${DAYS - 1} LOOP
    start := '2020-01-01Z'::timestamptz + day * interval '24 hours';
    EXECUTE format('CREATE TABLE segments_t%s PARTITION OF segments FOR VALUES FROM (%L) TO (%L)',
                   day, start, start + interval '24 hours');
    EXECUTE format(
      'CREATE TABLE segment_sessions_t%s PARTITION OF segment_sessions FOR VALUES
       FROM (%L) TO (%L)', day, start, start + interval '24 hours');
  END LOOP;
END $$`;
}

function makeSegments(channelId: number): string {
  return `
WITH segment AS (
  SELECT day, '2020-01-01Z'::timestamptz + day * interval '24 hours' AS start,
         CASE WHEN day <= ${FULL_DAY} THEN 1 ELSE ${1 + FULL_DAY_SEGMENTS - DAY_MESSAGES} END
           + day * ${DAY_MESSAGES} + part AS first,
         CASE WHEN day = ${FULL_DAY} THEN 1 ELSE ${DAY_MESSAGES} END AS messages
  FROM generate_series(0, ${DAYS - 1}) AS day,
       generate_series(
         0, CASE WHEN day = ${FULL_DAY} THEN ${FULL_DAY_SEGMENTS - 1} ELSE 0 END) AS part),
bounds AS (
  INSERT INTO partition_bounds
  SELECT start, min(first), max(first + messages - 1), start, start, sum(messages), sum(messages),
         ${channelId}
  FROM segment GROUP BY start),
index AS (
  INSERT INTO segment_sessions
  SELECT 7, first, first + messages - 1, first, start + interval '1 hour', ${channelId}, false
  FROM segment)
INSERT INTO segments
SELECT first, start + interval '1 hour', start, start, messages, ${channelId},
       messages, ARRAY[7], ARRAY[first], ARRAY[messages],
       array_fill(start, ARRAY[messages]), array_fill('x'::bytea, ARRAY[messages])
FROM segment`;
}

/** Losses and deletions of sessions that nobody asks for, as many as a bad year leaves. */
function makeMissing(channelId: number): string {
  return `
WITH head AS (
  UPDATE leases SET head = (SELECT max(last_position) FROM partition_bounds)
  WHERE channel_id = ${channelId}),
gone AS (
  INSERT INTO deletions (channel_id, session_id, first_sequence, last_sequence, message_count,
    first_position, last_position, min_published_at, max_published_at, deleted_at, policy)
  SELECT ${channelId}, 1000 + n, 1, 1, 1, 1, 1,
         '2019-01-01Z', '2019-01-01Z', '2019-06-01Z', 'age 1d'
  FROM generate_series(1, 5000) AS n)
INSERT INTO losses (channel_id, session_id, first_sequence, last_sequence, cause,
  after_position, next_sqn, detected_at, declared_at)
SELECT ${channelId}, 1000 + n, 1, 1, 'repair_expired', n * 100 / 72, 4294967296,
       '2020-01-01Z'::timestamptz + n * interval '20 minutes',
       '2020-01-01Z'::timestamptz + n * interval '20 minutes'
FROM generate_series(1, 20000) AS n`;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

async function planOf(query: string): Promise<PlanNode[]> {
  const [row] = await execute(archive.url, `EXPLAIN (FORMAT JSON) ${query}`);
  return nodesOf(row);
}

function nodesOf(row: Readonly<Record<string, unknown>>): PlanNode[] {
  const [{ Plan }] = row['QUERY PLAN'] as [{ Plan: PlanNode }];
  const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
  return flatten(Plan);
}

function scans(nodes: readonly PlanNode[], table: string): PlanNode[] {
  return nodes.filter((node) => node['Relation Name']?.startsWith(`${table}_t`) ?? false);
}

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The statements that `work` sends over `opened`, which has not been used before. */
async function statementsOf(opened: OpenDatabase, work: () => Promise<void>): Promise<Statement[]> {
  const sent: Statement[] = [];
  opened.pool.on('connect', (connection) => {
    const query = connection.query.bind(connection) as (...call: unknown[]) => unknown;
    const noted = (...call: unknown[]): unknown => {
      const [text, values] = call;
      if (typeof text === 'string' && Array.isArray(values)) sent.push({ text, values });
      return query(...call);
    };
    connection.query = noted as typeof connection.query;
  });
  await work();
  return [...sent];
}

const LOSSES = `
INSERT INTO losses
  (channel_id, session_id, first_sequence, last_sequence, after_position, next_sqn, detected_at,
   declared_at, cause, healed_position, healed_at, healed_by)
SELECT 1, 7, 2 * nth, 2 * nth, nth, 2 * nth + 1, now(), now(), 'repair_expired',
       CASE WHEN nth % 100 = 0 THEN nth END, CASE WHEN nth % 100 = 0 THEN now() END, 'another'
FROM generate_series(1, 50000) AS nth`;

describe('over four hundred partitions', () => {
  before(async () => {
    archive = await createTestDatabase();
    await using opened = openTestDatabase(archive.url);
    const { channelId } = await makeChannel(opened, 'orders');
    await execute(
      archive.url,
      makePartitions(),
      makeSegments(channelId),
      makeMissing(channelId),
      'ANALYZE',
    );
  });

  after(async () => {
    await archive[Symbol.asyncDispose]();
  });

  test('segments by position within the bounds of their day touch one partition', async () => {
    const nodes = await planOf(
      `SELECT * FROM segments WHERE channel_id = 1 AND ${WINDOW}
       AND first_position BETWEEN 20050 - 4095 AND 20050 ORDER BY first_position`,
    );
    const found = scans(nodes, 'segments');
    assert.deepEqual(
      found.map((node) => node['Relation Name']),
      ['segments_t200'],
    );
    assert.ok(!nodes.some((node) => node['Node Type'] === 'Seq Scan'));
  });

  test('the sparse index within the bounds of its day touches one partition', async () => {
    const nodes = await planOf(
      `SELECT * FROM segment_sessions WHERE channel_id = 1 AND session_id = 7 AND ${WINDOW}
       AND first_sequence <= 20050 AND last_sequence >= 20050`,
    );
    assert.equal(scans(nodes, 'segment_sessions').length, 1);
    assert.ok(!nodes.some((node) => node['Node Type'] === 'Seq Scan'));
  });

  test('an interval of archive times touches its days, each statement by an index', async () => {
    await using opened = openTestDatabase(archive.url);
    const sent = await statementsOf(opened, async () => {
      const channel = await findChannel(opened.database, 'orders');
      const reading = await openReading(opened, channel, {
        ...EVERYTHING,
        archivedFromUs: Date.UTC(2020, 6, 19) * 1_000,
        archivedToUs: Date.UTC(2020, 6, 20) * 1_000,
      });
      const { messageCount } = await reading.nextPage(1_000_000);
      assert.ok(messageCount > 0);
    });
    assert.ok(sent.length >= 5, `${sent.length} statements`);
    for (const { text, values } of sent) {
      const { rows } = await opened.pool.query<Record<string, unknown>>(
        `EXPLAIN (FORMAT JSON) ${text}`,
        [...values],
      );
      const nodes = nodesOf(rows[0]);
      assert.ok(scans(nodes, 'segments').length <= 2, text);
      const whole = nodes.filter((node) => node['Node Type'] === 'Seq Scan');
      const large = whole.filter((node) => LARGE.includes(node['Relation Name'] ?? ''));
      assert.deepEqual(large, [], text);
    }
  });

  test('how far losses were healed is known without reading them', async () => {
    await execute(archive.url, LOSSES, 'ANALYZE losses');
    const nodes = await planOf('SELECT max(healed_position) FROM losses WHERE channel_id = 1');
    const indexes = nodes.flatMap((node) => node['Index Name'] ?? []);
    assert.deepEqual(indexes, ['losses_healed_position']);
  });

  test('messages_between reads the blocks of one partition among four hundred', async () => {
    const [counted] = await execute(
      archive.url,
      "SELECT count(*)::int AS messages FROM messages_between('orders', 20050, 20060)",
    );
    assert.deepEqual(counted, { messages: 11 });
    const touched = await execute(
      archive.url,
      'BEGIN',
      "SELECT count(*) FROM messages_between('orders', 20050, 20060)",
      `SELECT DISTINCT relation::regclass::text AS name FROM pg_locks
     WHERE pid = pg_backend_pid() AND relation::regclass::text ~ '^segments_t\\d+$'`,
    );
    assert.deepEqual(touched, [{ name: 'segments_t200' }]);
  });
});
