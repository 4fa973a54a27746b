// What the API refuses, with which code, and that it does so before it asks the database anything.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Value } from 'typebox/value';
import { openDatabase } from '#archive/mod.ts';
import { ERRORS, type SessionId } from '#base/mod.ts';
import { createReplayApi, Problem } from '#replay-api/mod.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const UNHEARD = '00000000000000ab';
const MESSAGES = '/v1/channels/orders/messages';

let api: TestApi;
before(async () => {
  api = await openTestApi();
  const payload = Buffer.from('x');
  const message = { session: SESSION, sequence: 1, publishedAtUs: instantAt(0), payload };
  await api.addChannel({
    name: 'orders',
    deliveries: [{ kind: 'segment', archivedAtUs: instantAt(1), messages: [message] }],
  });
});
after(() => api[Symbol.asyncDispose]());

async function refusal(path: string, accept?: string): Promise<{ code: string; detail: string }> {
  const answer = await api.get(path, accept);
  const problem = JSON.parse(answer.text) as { code: keyof typeof ERRORS; detail: string };
  assert.deepEqual([...Value.Errors(Problem, problem)], [], answer.text);
  assert.match(answer.type, /^application\/problem\+json/);
  assert.equal(answer.status, ERRORS[problem.code].httpStatus);
  return problem;
}

const BAD_PARAMETERS = [
  '',
  '-1',
  '1e3',
  '1.0',
  '+1',
  ' 1',
  '01',
  '0x1',
  'NaN',
  'Infinity',
  '9007199254740992',
  '18446744073709551616',
  '1e309',
  '\u0661',
  '\uff11',
  '1\0',
  "1'--",
  '[]',
  'null',
];

for (const value of BAD_PARAMETERS) {
  test(`the number ${JSON.stringify(value)} is refused wherever a number goes`, async () => {
    const text = encodeURIComponent(value);
    for (const name of ['after', 'before', 'limit', 'first', 'last']) {
      const session = name === 'first' || name === 'last' ? `session=${SESSION}&` : '';
      const { code, detail } = await refusal(`${MESSAGES}?${session}${name}=${text}`);
      assert.equal(code, 'BACKCAST_RANGE_INVALID');
      assert.match(detail, new RegExp(`"${name}"`));
    }
  });
}

const BAD_INSTANTS = ['', 'now', '2026-11-22', '2026-11-22T14:05:00', '2026-13-01T00:00:00Z', '0'];

for (const value of [...BAD_INSTANTS, '2026-02-30T00:00:00Z', '2026-11-22T14:05:00 02:00']) {
  test(`the instant ${JSON.stringify(value)} is refused`, async () => {
    const { code } = await refusal(`${MESSAGES}?from=${encodeURIComponent(value)}`);
    assert.equal(code, 'BACKCAST_RANGE_INVALID');
  });
}

test('an unescaped plus sign in an instant gets a hint', async () => {
  const { detail } = await refusal(`${MESSAGES}?from=2026-11-22T14:05:00+02:00`);
  assert.match(detail, /%2B/);
});

const BAD_SESSIONS = ['', 'x', SESSION.toUpperCase(), `${SESSION}0`, 'ffffffffffffffff'];

for (const value of [...BAD_SESSIONS, '0000000000000000']) {
  test(`the session ${JSON.stringify(value)} is refused`, async () => {
    for (const path of ['messages', 'losses', 'conflicts', 'completeness']) {
      const { code } = await refusal(`/v1/channels/orders/${path}?session=${value}`);
      assert.equal(code, 'BACKCAST_RANGE_INVALID');
    }
  });
}

const UNKNOWN_OR_TWICE = [
  ['limit=1&limit=1', '"limit" is given more than once'],
  ['limit[]=1', 'Unknown parameter "limit[]"'],
  ['Limit=1', 'Unknown parameter "Limit"'],
  ['__proto__=1', 'Unknown parameter "__proto__"'],
  ['constructor=1', 'Unknown parameter "constructor"'],
  ['toString=1', 'Unknown parameter "toString"'],
  ['order=up', '"order" is "up"'],
] as const;

for (const [query, complaint] of UNKNOWN_OR_TWICE) {
  test(`?${query} is refused and named`, async () => {
    const { code, detail } = await refusal(`${MESSAGES}?${query}`);
    assert.equal(code, 'BACKCAST_RANGE_INVALID');
    assert.ok(detail.includes(complaint), detail);
  });
}

test('no address takes parameters that it does not know', async () => {
  const below = ['', '/sessions', '/losses', '/conflicts', '/messages', '/completeness'];
  const paths = ['/', '/healthz', '/readyz', '/v1/channels'];
  for (const path of [...paths, ...below.map((one) => `/v1/channels/orders${one}`)]) {
    assert.equal((await refusal(`${path}?surprise=1`)).code, 'BACKCAST_RANGE_INVALID', path);
  }
});

for (const other of [
  'after=1',
  'before=9',
  'from=2026-11-22T00:00:00Z',
  'to=2026-11-22T00:00:00Z',
]) {
  test(`session and ${other} exclude each other, and both are named`, async () => {
    const { code, detail } = await refusal(`${MESSAGES}?session=${SESSION}&${other}`);
    assert.equal(code, 'BACKCAST_RANGE_INVALID');
    assert.match(detail, new RegExp(`"session" and "${other.split('=')[0]}"`));
  });
}

test('sequences without a session are refused', async () => {
  for (const name of ['first', 'last']) {
    const { code, detail } = await refusal(`${MESSAGES}?${name}=1`);
    assert.equal(code, 'BACKCAST_RANGE_INVALID');
    assert.match(detail, new RegExp(`"${name}".*"session"`));
  }
});

test('a JSON page of more than 10,000 items is refused, a stream of more is not', async () => {
  assert.equal((await refusal(`${MESSAGES}?limit=10001`)).code, 'BACKCAST_RANGE_INVALID');
  assert.equal((await api.get(`${MESSAGES}?limit=10001`, 'application/x-ndjson')).status, 200);
});

const INVERTED = [
  `${MESSAGES}?after=9&before=8`,
  `${MESSAGES}?from=2026-11-22T00:00:01Z&to=2026-11-22T00:00:00Z`,
  `${MESSAGES}?session=${SESSION}&first=9&last=8`,
  `/v1/channels/orders/completeness?session=${SESSION}&first=9&last=8`,
];

for (const path of INVERTED) {
  test(`the inverted range ${path} is told apart from a malformed one`, async () => {
    assert.equal((await refusal(path)).code, 'BACKCAST_RANGE_INVERTED');
  });
}

test('what was never heard of is not there', async () => {
  for (const path of ['', '/sessions', '/losses', '/conflicts', '/messages']) {
    assert.equal((await refusal(`/v1/channels/none${path}`)).code, 'BACKCAST_CHANNEL_UNKNOWN');
  }
  for (const path of ['messages', 'completeness']) {
    const { code } = await refusal(`/v1/channels/orders/${path}?session=${UNHEARD}`);
    assert.equal(code, 'BACKCAST_SESSION_UNKNOWN');
  }
});

test('a name that can be no channel is refused, however long', async () => {
  for (const name of [
    'a%20b',
    'a%00',
    '%25',
    'x'.repeat(129),
    'x'.repeat(2_000),
    'a%2Fb',
    '%F0%9F%9B%B0',
  ]) {
    const { status, text } = await api.get(`/v1/channels/${name}/messages`);
    assert.ok(status === 400 || status === 414, `${name}: ${status}`);
    assert.match(text, /BACKCAST_(CHANNEL_NAME|RANGE_INVALID)/);
  }
});

test('an address that cannot be decoded is refused as a problem', async () => {
  assert.equal((await refusal('/v1/channels/%zz')).code, 'BACKCAST_RANGE_INVALID');
});

test('an address that is none is not found', async () => {
  for (const path of ['/v2', '/v1/channels/orders/messages/', '/V1/channels']) {
    assert.equal((await refusal(path)).code, 'BACKCAST_NOT_FOUND', path);
  }
});

const ACCEPTABLE: readonly (readonly [string, RegExp])[] = [
  ['', /^application\/json/],
  ['*/*', /^application\/json/],
  ['application/*', /^application\/json/],
  ['APPLICATION/JSON; charset=utf-8', /^application\/json/],
  ['application/x-ndjson, application/json', /^application\/json/],
  ['text/html, application/json;q=0.1', /^application\/json/],
  ['application/x-ndjson', /^application\/x-ndjson/],
  ['application/json;q=0.5, application/x-ndjson', /^application\/x-ndjson/],
  ['application/json;q=0, */*', /^application\/x-ndjson/],
  ['*/*;q=0.1, application/x-ndjson;q=0.2', /^application\/x-ndjson/],
  ['application/*;q=0, application/x-ndjson', /^application\/x-ndjson/],
];

for (const [accept, type] of ACCEPTABLE) {
  test(`Accept "${accept}" gets ${type.source}`, async () => {
    assert.match((await api.get(MESSAGES, accept)).type, type);
  });
}

test('media types that are not served are not acceptable', async () => {
  for (const accept of [
    'text/html',
    'text/html;q=1, text/csv;q=0',
    'application/json;q=0',
    'application/xml, image/*',
    'application/json;q=2',
    'json',
    ',,;',
  ]) {
    assert.equal((await refusal(MESSAGES, accept)).code, 'BACKCAST_NOT_ACCEPTABLE', accept);
  }
});

test('history that is no longer kept is gone, with what is left', async () => {
  await api.addChannel({
    name: 'purged',
    deliveries: [0, 1, 2].map((day) => ({
      kind: 'segment',
      archivedAtUs: instantAt(day * 86_400),
      messages: [
        {
          session: SESSION,
          sequence: day + 1,
          publishedAtUs: instantAt(day * 86_400),
          payload: Buffer.from('x'),
        },
      ],
    })),
  });
  await api.opened.database
    .deleteFrom('partition_bounds')
    .where('first_position', '=', 1)
    .where('channel_id', '=', (eb) =>
      eb.selectFrom('channels').select('channel_id').where('name', '=', 'purged'),
    )
    .execute();
  const { code, detail } = await refusal('/v1/channels/purged/messages?after=0');
  assert.equal(code, 'BACKCAST_HISTORY_GONE');
  assert.match(detail, /after 1\./);
  const from = '/v1/channels/purged/messages?from=2026-11-20T00:00:00Z';
  assert.equal((await refusal(from)).code, 'BACKCAST_HISTORY_GONE');
  assert.equal((await api.get('/v1/channels/purged/messages?after=1')).status, 200);
  assert.equal((await api.get('/v1/channels/purged/messages')).status, 200);
});

test('everything that is malformed is refused without the database', async () => {
  await using away = openDatabase({
    url: 'postgres://nobody@127.0.0.1:1/none',
    poolConnectionsMax: 1,
    applicationName: 'refusals',
    statementTimeoutMs: 1_000,
  });
  const app = await createReplayApi({ database: away, logger: silentLogger });
  const malformed = [
    'limit=0',
    'surprise=1',
    'limit=1&limit=2',
    'after=9&before=8',
    `session=${SESSION}&after=1`,
    'first=1',
    'limit=10001',
    'from=now',
  ];
  for (const query of malformed) {
    const { statusCode } = await app.inject({ method: 'GET', url: `${MESSAGES}?${query}` });
    assert.ok(statusCode === 400 || statusCode === 422, `${query}: ${statusCode}`);
  }
  const accept = { accept: 'text/html' };
  const refused = await app.inject({ method: 'GET', url: MESSAGES, headers: accept });
  assert.equal(refused.statusCode, 406);
  await app.close();
});

test('without the database requests are to be tried again, the process is healthy', async () => {
  await using away = openDatabase({
    url: 'postgres://nobody@127.0.0.1:1/none',
    poolConnectionsMax: 1,
    applicationName: 'refusals',
    statementTimeoutMs: 1_000,
  });
  const app = await createReplayApi({ database: away, logger: silentLogger });
  for (const path of ['/v1/channels', MESSAGES, `${MESSAGES}?session=${SESSION}`]) {
    const answer = await app.inject({ method: 'GET', url: path });
    assert.equal(answer.statusCode, 503);
    assert.match(String(answer.headers['retry-after']), /^[0-9]+$/);
    assert.equal(answer.json<{ code: string }>().code, 'BACKCAST_DATABASE_UNREACHABLE');
  }
  assert.equal((await app.inject('/healthz')).statusCode, 200);
  const ready = await app.inject('/readyz');
  assert.equal(ready.statusCode, 503);
  assert.equal(ready.json<{ database: string }>().database, 'unreachable');
  await app.close();
});
