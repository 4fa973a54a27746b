// What retention has deleted, as the API tells it: in pages, in streams, in a list of its own and
// in an answer about completeness.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadRetentionPlan, runRetention } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  makePastPartitions,
  noonUs,
  startOfUs,
} from '#test/support/aged-archive.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';

const CHANNEL = '/v1/channels/orders';

let api: TestApi;
before(async () => {
  api = await openTestApi();
  await makePastPartitions(api.opened);
  await api.addChannel({
    name: 'orders',
    deliveries: [
      agedSegment(7, 1, 5),
      { kind: 'loss', session: AGED_SESSION, first: 6, last: 7, cause: 'corrupt', detectedAtUs: 1 },
      agedSegment(7, 8, 3),
      agedSegment(5, 11, 4),
    ],
    sessions: agedSessions(AGED_SESSION),
  });
  const plan = await loadRetentionPlan(api.opened.database, {
    policyOf: () => ({ ageMs: 5 * DAY_MS }),
  });
  await runRetention(api.opened.database, plan);
});
after(() => api[Symbol.asyncDispose]());

async function json(path: string): Promise<Record<string, unknown>> {
  const { status, text } = await api.get(path);
  assert.equal(status, 200, text);
  return JSON.parse(text) as Record<string, unknown>;
}

function ranges(list: unknown): unknown[] {
  return (list as Record<string, unknown>[]).map(({ first, last }) => [first, last]);
}

test('a page names what was deleted beside what is lost, each with its circumstances', async () => {
  const page = await json(`${CHANNEL}/messages?after=0`);
  assert.equal(page['status'], 'deleted');
  assert.deepEqual(ranges(page['losses']), [[6, 7]]);
  const [first, second] = page['deletions'] as Record<string, unknown>[];
  const { deletedAt, ...rest } = first;
  assert.match(String(deletedAt), /^\d{4}-.*Z$/);
  assert.deepEqual(rest, {
    kind: 'deletion',
    session: AGED_SESSION,
    source: 'source-00a1',
    first: 1,
    last: 5,
    messages: 5,
    firstPosition: 1,
    lastPosition: 5,
    publishedFrom: formatInstant(noonUs(7) + 1),
    publishedThrough: formatInstant(noonUs(7) + 1),
    policy: 'age 5d',
  });
  assert.deepEqual([second['first'], second['last']], [8, 10]);
  const positions = (page['items'] as Record<string, unknown>[]).map(({ position }) => position);
  assert.deepEqual(positions, [9, 10, 11, 12]);
});

test('a stream names deletions where they lie, in either order, and ends deleted', async () => {
  for (const order of ['asc', 'desc'] as const) {
    const { text } = await api.get(`${CHANNEL}/messages?order=${order}`, 'application/x-ndjson');
    const kinds = linesOf(text).map(({ kind, first, position }) =>
      [kind, first ?? position].join(' ').trim(),
    );
    const inOrder = ['deletion 1', 'loss 6', 'deletion 8', ...[9, 10, 11, 12].map(asMessage)];
    assert.deepEqual(kinds.slice(0, -1), order === 'asc' ? inOrder : inOrder.toReversed());
    const end = linesOf(text).at(-1) ?? {};
    assert.deepEqual([end['status'], end['complete'], end['count']], ['deleted', false, 4]);
  }
});

function asMessage(position: number): string {
  return `message ${position}`;
}

test('a page wholly below what is kept is not empty: it says what was there', async () => {
  const page = await json(`${CHANNEL}/messages?before=4`);
  assert.deepEqual([page['status'], page['items']], ['deleted', []]);
  assert.deepEqual(ranges(page['deletions']), [[1, 5]]);
});

test('an interval of publish times names what may have been in it, and no other', async () => {
  const within = `from=${formatInstant(startOfUs(7))}&to=${formatInstant(startOfUs(6))}`;
  const page = await json(`${CHANNEL}/messages?${within}`);
  assert.deepEqual(ranges(page['deletions']), [
    [1, 5],
    [8, 10],
  ]);
  const later = `from=${formatInstant(startOfUs(6))}&to=${formatInstant(startOfUs(4))}`;
  const rest = await json(`${CHANNEL}/messages?${later}`);
  assert.deepEqual(rest['deletions'], []);
  assert.equal((rest['items'] as unknown[]).length, 4);
});

test('a range of a session is cut to what was asked for', async () => {
  const page = await json(`${CHANNEL}/messages?session=${AGED_SESSION}&first=3&last=9`);
  assert.deepEqual([page['status'], page['items']], ['deleted', []]);
  assert.deepEqual(ranges(page['deletions']), [
    [3, 5],
    [8, 9],
  ]);
  assert.deepEqual(ranges(page['losses']), [[6, 7]]);
});

test('completeness answers deleted, with what is lost besides', async () => {
  const answer = await json(`${CHANNEL}/completeness?session=${AGED_SESSION}`);
  const { status, storedCount, lostCount, deletedCount } = answer;
  assert.deepEqual([status, storedCount, lostCount, deletedCount], ['deleted', 4, 2, 8]);
  assert.deepEqual(ranges(answer['deleted']), [
    [1, 5],
    [8, 10],
  ]);
  const kept = await json(`${CHANNEL}/completeness?session=${AGED_SESSION}&first=11`);
  assert.deepEqual([kept['status'], kept['deleted'], kept['deletedCount']], ['complete', [], 0]);
});

test('deletions are listed page by page', async () => {
  const first = await json(`${CHANNEL}/deletions?limit=1`);
  assert.deepEqual(ranges(first['items']), [[1, 5]]);
  const second = await json(String(first['next']));
  assert.deepEqual(ranges(second['items']), [[8, 10]]);
  const other = await json(`${CHANNEL}/deletions?session=0000000000000001`);
  assert.deepEqual([other['items'], other['next']], [[], null]);
});

test('a channel says from where on everything is kept', async () => {
  const channel = await json(CHANNEL);
  assert.deepEqual([channel['firstPosition'], channel['firstAvailable']], [9, 9]);
});
