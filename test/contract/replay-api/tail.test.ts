// The frames of a tail against the document that describes them, and what a tail refuses.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Schema from 'typebox/schema';
import { Value } from 'typebox/value';
import { loadRetentionPlan, runRetention } from '#archive/mod.ts';
import { ERRORS } from '#base/mod.ts';
import { Problem, type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  makePastPartitions,
} from '#test/support/aged-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';
import { isLive, openTail } from '#test/support/tail-reader.ts';

let api: TestApi;
let server: ReplayServer;
before(async () => {
  api = await openTestApi();
  await makePastPartitions(api.opened);
  await api.addChannel({
    name: 'orders',
    deliveries: [
      agedSegment(7, 1, 5),
      { kind: 'loss', session: AGED_SESSION, first: 6, last: 7, cause: 'corrupt', detectedAtUs: 1 },
      agedSegment(5, 8, 4),
    ],
    sessions: agedSessions(AGED_SESSION),
  });
  await api.addChannel({ name: 'quotes', framing: 'zmq', deliveries: [] });
  await runRetention(
    api.opened.database,
    await loadRetentionPlan(api.opened.database, { policyOf }),
  );
  const place = { host: '127.0.0.1', port: 0 };
  server = await startReplayServer({ database: api.opened, logger: silentLogger, ...place });
});
after(async () => {
  await server.close();
  await api[Symbol.asyncDispose]();
});

function policyOf(): { readonly ageMs: number } {
  return { ageMs: 5 * DAY_MS };
}

function url(path: string): string {
  return `${server.url}/v1/channels/${path}`;
}

test('every frame is as the document says, and named by its kind', async () => {
  const document = JSON.parse((await api.get('/openapi.json')).text) as {
    components: { schemas: Record<string, object> };
  };
  const schema = { ...document.components.schemas['TailFrame'], components: document.components };
  await using tail = await openTail(url('orders/tail?after=0'));
  const frames = await tail.through(isLive);
  frames.push(await tail.next());
  assert.deepEqual(
    frames.map(({ kind }) => kind),
    ['state', 'deletion', 'loss', 'message', 'message', 'message', 'message', 'state', 'session'],
  );
  for (const { kind, body } of frames) {
    assert.equal(body['kind'], kind);
    assert.ok(Schema.Check(schema, body), JSON.stringify(body));
  }
  assert.equal(Schema.Check(schema, { kind: 'message' }), false);
});

test('the id of a message is its position, and what has no position has no id', async () => {
  await using tail = await openTail(url('orders/tail?after=6'));
  const frames = await tail.through(isLive);
  const ids = frames.map(({ kind, id }) => [kind, id]);
  assert.deepEqual(ids, [
    ['state', '6'],
    ['message', '7'],
    ['message', '8'],
    ['message', '9'],
    ['state', '9'],
  ]);
});

test('a tail cannot be stored, and no proxy may collect it', async () => {
  await using tail = await openTail(url('orders/tail'));
  const { headers } = tail.response;
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal(headers.get('x-accel-buffering'), 'no');
});

test('a channel without messages can be tailed', async () => {
  await using tail = await openTail(url('quotes/tail'));
  assert.deepEqual((await tail.next()).body, {
    kind: 'state',
    state: 'live',
    position: 0,
    archivedThrough: 0,
  });
});

async function refusal(path: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(url(path), { headers });
  const problem = (await answer.json()) as { code: keyof typeof ERRORS };
  assert.deepEqual([...Value.Errors(Problem, problem)], []);
  assert.equal(answer.status, ERRORS[problem.code].httpStatus);
  return problem.code;
}

test('a place that is none is refused, in the query and in the header', async () => {
  for (const text of ['-1', '1e3', '01', 'x', '9007199254740992', '1 ', '1,2']) {
    const after = encodeURIComponent(text);
    assert.equal(await refusal(`orders/tail?after=${after}`), 'BACKCAST_RANGE_INVALID', text);
    if (text === '1 ') continue;
    const headers = { 'last-event-id': text };
    assert.equal(await refusal('orders/tail', headers), 'BACKCAST_RANGE_INVALID', text);
  }
  assert.equal(await refusal('orders/tail?before=1'), 'BACKCAST_RANGE_INVALID');
});

async function cursorOf(query: string): Promise<string> {
  const page = await api.get(`/v1/channels/orders/messages?${query}`);
  assert.equal(page.status, 200, page.text);
  return (JSON.parse(page.text) as { cursor: string }).cursor;
}

test('a tail goes on where a page ended', async () => {
  for (const query of ['after=5&limit=2', 'from=2000-01-01T00:00:00Z&after=5&limit=2']) {
    await using tail = await openTail(url(`orders/tail?cursor=${await cursorOf(query)}`));
    const frames = await tail.through(isLive);
    const positions = frames.filter(({ kind }) => kind === 'message').map(({ id }) => id);
    assert.deepEqual(positions, ['8', '9'], query);
  }
});

test('a reader that connects again goes on behind what it had, not at its cursor', async () => {
  const cursor = await cursorOf('after=5&limit=1');
  await using tail = await openTail(url(`orders/tail?cursor=${cursor}`), '8');
  const frames = await tail.through(isLive);
  assert.deepEqual(
    frames.filter(({ kind }) => kind === 'message').map(({ id }) => id),
    ['9'],
  );
});

test('a cursor that asks for less than what is behind it is none of a tail', async () => {
  const questions = [
    `session=${AGED_SESSION}`,
    'order=desc',
    'after=5&before=9',
    'after=5&to=2100-01-01T00:00:00Z',
    'after=5&archivedTo=2100-01-01T00:00:00Z',
  ];
  for (const question of questions) {
    const cursor = await cursorOf(`${question}&limit=1`);
    assert.equal(await refusal(`orders/tail?cursor=${cursor}`), 'BACKCAST_CURSOR_INVALID');
  }
  const cursor = await cursorOf('after=5');
  assert.equal(await refusal(`quotes/tail?cursor=${cursor}`), 'BACKCAST_CURSOR_INVALID');
  const twice = `orders/tail?cursor=${cursor}&after=5`;
  assert.equal(await refusal(twice), 'BACKCAST_RANGE_INVALID');
});

test('an unknown channel and another media type are refused', async () => {
  assert.equal(await refusal('none/tail'), 'BACKCAST_CHANNEL_UNKNOWN');
  const code = await refusal('orders/tail', { accept: 'application/json' });
  assert.equal(code, 'BACKCAST_NOT_ACCEPTABLE');
});

test('a place that is no longer kept is gone before anything is sent', async () => {
  await api.addChannel({
    name: 'purged',
    deliveries: [agedSegment(6, 1, 1), agedSegment(4, 2, 1)],
  });
  await api.opened.database
    .deleteFrom('partition_bounds')
    .where('first_position', '=', 1)
    .where('channel_id', '=', (eb) =>
      eb.selectFrom('channels').select('channel_id').where('name', '=', 'purged'),
    )
    .execute();
  assert.equal(await refusal('purged/tail?after=0'), 'BACKCAST_HISTORY_GONE');
  await using tail = await openTail(url('purged/tail?after=1'));
  await tail.through(isLive);
});
