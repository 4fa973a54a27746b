// HEAD and the tags of answers: what can be asked with GET can be asked with HEAD, which says the
// same in its headers, sends nothing, and reads no message.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { listAccesses } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { execute } from '#test/support/postgres.ts';
import type { Answer } from '#test/support/replay-api.ts';

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const CHANNEL = '/v1/channels/orders';
const WHOLE = [
  '/',
  '/healthz',
  '/readyz',
  '/openapi.json',
  '/v1/channels',
  '/v1/access',
  CHANNEL,
  ...['sessions', 'losses', 'deletions', 'conflicts'].map((list) => `${CHANNEL}/${list}`),
  `${CHANNEL}/completeness?session=${SESSION}`,
];
/** With the media type that each is asked for. */
const MESSAGES = [
  [`${CHANNEL}/messages?after=1`, 'application/json'],
  [`${CHANNEL}/messages?after=1`, 'application/x-ndjson'],
  [`${CHANNEL}/messages?after=1`, 'text/csv'],
  [`${CHANNEL}/messages?after=1`, 'application/vnd.backcast.segments'],
  [`${CHANNEL}/messages?session=${SESSION}&first=2`, 'application/json'],
  [`${CHANNEL}/export?format=ndjson&after=1`, '*/*'],
  [`${CHANNEL}/export?format=csv&after=1`, '*/*'],
  [`${CHANNEL}/export?format=parquet&after=1`, '*/*'],
] as const;

let api: ControlledApi;
let token: string;
before(async () => {
  api = await openControlledApi();
  const messages = [1, 2, 3].map((sequence) => {
    const publishedAtUs = instantAt(sequence);
    return { session: SESSION, sequence, publishedAtUs, payload: Buffer.from('x') };
  });
  const segment = { kind: 'segment', archivedAtUs: instantAt(9), messages } as const;
  for (const name of ['orders', 'unread']) await api.addChannel({ name, deliveries: [segment] });
  token = await api.token('read:*', 'export:*', 'admin');
  await api.access.recheck(performance.now());
});
after(() => api[Symbol.asyncDispose]());

function ask(method: 'GET' | 'HEAD', path: string, accept: string): Promise<Answer> {
  return api.ask(path, { method, accept, token });
}

const VARYING = new Set(['date', 'connection', 'transfer-encoding', 'keep-alive']);

function headersOf({ headers }: Answer): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !VARYING.has(name)));
}

for (const path of WHOLE) {
  test(`HEAD of ${path} has the headers of GET, also its length and its tag`, async () => {
    const head = await ask('HEAD', path, '*/*');
    const got = await ask('GET', path, '*/*');
    assert.deepEqual([head.status, head.bytes.length], [200, 0], head.text);
    assert.deepEqual(headersOf(head), headersOf(got));
    assert.equal(got.headers['content-length'], String(got.bytes.length));
  });
}

/** What only the messages themselves tell. */
const OF_MESSAGES = new Set(['content-length', 'etag', 'link', 'cache-control', 'retry-after']);

for (const [path, accept] of MESSAGES) {
  test(`HEAD of ${path} as ${accept} says what there is`, async () => {
    const head = await ask('HEAD', path, accept);
    const got = await ask('GET', path, accept);
    assert.deepEqual([head.status, head.bytes.length], [200, 0]);
    assert.equal(head.headers['backcast-remaining'], '2');
    assert.equal(head.headers['content-length'], undefined, 'nobody knows the length');
    for (const [name, value] of Object.entries(headersOf(got)))
      if (!OF_MESSAGES.has(name)) assert.equal(head.headers[name], value, name);
  });
}

test('HEAD of a tail says what it is, and ends', async () => {
  const head = await ask('HEAD', `${CHANNEL}/tail?after=1`, '*/*');
  assert.deepEqual([head.status, head.bytes.length], [200, 0]);
  assert.match(head.type, /^text\/event-stream/);
});

test('HEAD is refused as GET is, without a word', async () => {
  for (const path of ['messages?after=x', 'tail?after=x', 'export?format=x', 'losses?session=x']) {
    const head = await ask('HEAD', `${CHANNEL}/${path}`, '*/*');
    assert.deepEqual([head.status, head.bytes.length], [400, 0], path);
  }
  for (const path of [
    'messages',
    'tail',
    'export?format=csv',
    'completeness?session=00000000000000ab',
  ])
    assert.equal((await ask('HEAD', `/v1/channels/none/${path}`, '*/*')).status, 404, path);
  assert.equal((await api.ask(`${CHANNEL}/messages`, { method: 'HEAD' })).status, 401);
});

test('HEAD takes the right that GET takes', async () => {
  const reader = await api.token('read:orders');
  const expected = { [`${CHANNEL}/messages`]: 200, [`${CHANNEL}/export?format=csv`]: 403 };
  const others = { '/v1/access': 403, '/v1/channels/unread/messages': 404, '/metrics': 403 };
  for (const [path, status] of Object.entries({ ...expected, ...others }))
    assert.equal((await api.ask(path, { method: 'HEAD', token: reader })).status, status, path);
});

test('an answer that has not changed is not sent again, the document neither', async () => {
  for (const path of [
    `${CHANNEL}/messages`,
    '/openapi.json',
    '/v1/channels',
    `${CHANNEL}/losses`,
  ]) {
    const tag = String((await ask('GET', path, '*/*')).headers['etag']);
    for (const method of ['GET', 'HEAD'] as const) {
      if (method === 'HEAD' && path.endsWith('/messages')) continue;
      const headers = { authorization: `Bearer ${token}`, 'if-none-match': tag };
      const again = await api.app.inject({ method, url: path, headers });
      assert.deepEqual([again.statusCode, again.body], [304, ''], `${method} ${path}`);
      const stale = { ...headers, 'if-none-match': 'W/"another"' };
      assert.equal((await api.app.inject({ method, url: path, headers: stale })).statusCode, 200);
    }
  }
});

test('HEAD reads no message', async () => {
  // Whoever wanted a payload would fail; of this channel nothing has been read before.
  await execute(api.url, 'ALTER TABLE segments RENAME COLUMN payload TO hidden');
  try {
    for (const [path, accept] of MESSAGES) {
      const unread = path.replace('orders', 'unread');
      assert.equal((await ask('HEAD', unread, accept)).status, 200, `${unread} ${accept}`);
      assert.equal((await ask('GET', unread, accept)).status, 503, `${unread} ${accept}`);
    }
    const tail = '/v1/channels/unread/tail?after=1';
    assert.equal((await ask('HEAD', tail, '*/*')).status, 200);
  } finally {
    await execute(api.url, 'ALTER TABLE segments RENAME COLUMN hidden TO payload');
  }
});

async function readings(): Promise<number> {
  await api.access.log.write();
  const nobody = { channel: undefined, who: undefined, fromUs: undefined, toUs: undefined };
  const filter = { ...nobody, after: undefined, limit: 1_000 };
  return (await listAccesses(api.opened.database, filter)).length;
}

test('nobody is noted as having read who asked with HEAD', async () => {
  const before = await readings();
  for (const [path, accept] of MESSAGES) await ask('HEAD', path, accept);
  await ask('HEAD', `${CHANNEL}/tail?after=1`, '*/*');
  assert.equal(await readings(), before);
  await ask('GET', `${CHANNEL}/messages`, '*/*');
  assert.equal(await readings(), before + 1);
});
