// Every route, every kind of token, and every way to go on where somebody else stopped: who has the
// right is let in, everybody else is denied. Routes come from the document that the API serves and
// are judged by their address, so that a route which is added is held to this too.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fastify } from 'fastify';
import { revokeToken } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { installAccess } from '#replay-api/access/request-access.ts';
import { type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { type Delivery, instantAt, segmentsOf } from '#test/support/filled-archive.ts';
import { silentLogger } from '#test/support/replay-api.ts';

type Need = 'nothing' | 'any' | 'read' | 'export' | 'admin';

interface Route {
  readonly method: string;
  /** As the document has it. */
  readonly path: string;
  readonly types: readonly string[];
}

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const PUBLIC = ['/', '/healthz', '/readyz', '/openapi.json', '/docs/'];
const EVENT_STREAM = 'text/event-stream';
/** Not in the document. */
const HIDDEN = ['/metrics', '/openapi.json', '/docs/'];

/** What each token of the matrix may do, by its scopes. */
const TOKENS: Readonly<Record<string, { scopes: readonly string[]; allows: readonly Need[] }>> = {
  reader: { scopes: ['read:orders'], allows: ['any', 'read'] },
  'reader by pattern': { scopes: ['read:ord*s'], allows: ['any', 'read'] },
  'reader of another channel': { scopes: ['read:trades'], allows: ['any'] },
  'reader of channels below': { scopes: ['read:orders.*'], allows: ['any'] },
  exporter: { scopes: ['export:orders'], allows: ['any', 'export'] },
  'exporter of another channel': { scopes: ['export:trades'], allows: ['any'] },
  'reader who exports another channel': {
    scopes: ['read:orders', 'export:trades'],
    allows: ['any', 'read'],
  },
  administrator: { scopes: ['admin'], allows: ['any', 'admin'] },
  everybody: {
    scopes: ['read:*', 'export:*', 'admin'],
    allows: ['any', 'read', 'export', 'admin'],
  },
};

let api: ControlledApi;
let server: ReplayServer;
let routes: readonly Route[];
const texts = new Map<string, string>();

before(async () => {
  api = await openControlledApi();
  for (const name of ['orders', 'trades'])
    await api.addChannel({
      name,
      deliveries: [...segmentsOf(SESSION, 3, Buffer.from('{}')), loss(4), loss(6)],
    });
  for (const [name, { scopes }] of Object.entries(TOKENS))
    texts.set(name, await api.token(...scopes));
  await api.access.recheck(performance.now());
  const { opened: database, access } = api;
  const options = { database, logger: silentLogger, access, host: '127.0.0.1', port: 0 };
  server = await startReplayServer(options);
  routes = readRoutes((await api.ask('/openapi.json')).text);
});
after(async () => {
  await server.close();
  await api[Symbol.asyncDispose]();
});

function loss(sequence: number): Delivery {
  const detectedAtUs = instantAt(10);
  const range = { first: sequence, last: sequence, cause: 'repair_expired' } as const;
  return { kind: 'loss', session: SESSION, ...range, detectedAtUs };
}

function readRoutes(text: string): Route[] {
  const { paths } = JSON.parse(text) as {
    paths: Record<string, Record<string, { responses: Record<string, { content?: object }> }>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { responses }]) => {
      const types = Object.keys(responses['200']?.content ?? {});
      return { method: method.toUpperCase(), path, types };
    }),
  );
  return [...described, ...HIDDEN.map((path) => ({ method: 'GET', path, types: [] }))];
}

/** What a route takes, by its address alone: the program says it another way. */
function needOf(path: string): Need {
  if (PUBLIC.includes(path)) return 'nothing';
  if (path === '/v1/channels') return 'any';
  if (path === '/v1/access' || path === '/metrics') return 'admin';
  assert.ok(path.startsWith('/v1/channels/{channel}'), `what does ${path} take?`);
  return path.endsWith('/export') ? 'export' : 'read';
}

interface Asked {
  readonly status: number;
  readonly code: string | undefined;
}

/** Asks over the network, and leaves as soon as the answer begins: some have no end. */
async function ask(
  { method, types }: Pick<Route, 'method' | 'types'>,
  url: string,
  token: string | undefined,
): Promise<Asked> {
  const leaving = new AbortController();
  const answer = await fetch(server.url + url, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(types.length === 0 ? {} : { accept: types[0] }),
      ...(types[0] === EVENT_STREAM ? { 'last-event-id': '1' } : {}),
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
    },
    ...(method === 'POST' ? { body: '{}' } : {}),
    signal: leaving.signal,
  });
  const isProblem = answer.headers.get('content-type')?.includes('problem') === true;
  const problem = isProblem ? ((await answer.json()) as { code: string }) : undefined;
  leaving.abort();
  return { status: answer.status, code: problem?.code };
}

function assertAllowed(asked: Asked, what: string): void {
  const isDenied = [401, 403].includes(asked.status) || asked.code === 'BACKCAST_CHANNEL_UNKNOWN';
  assert.ok(!isDenied, `${what}: ${asked.status} ${asked.code}`);
}

function assertDenied(asked: Asked, need: Need, mayRead: boolean, what: string): void {
  const isUnknown = need === 'read' || (need === 'export' && !mayRead);
  const expected = isUnknown
    ? { status: 404, code: 'BACKCAST_CHANNEL_UNKNOWN' }
    : { status: 403, code: 'BACKCAST_FORBIDDEN' };
  assert.deepEqual(asked, expected, what);
}

function urlOf(path: string): string {
  return path
    .replace('{channel}', 'orders')
    .replace('completeness', `completeness?session=${SESSION}`);
}

test('there are routes to look at', () => {
  const needs = new Set(routes.map(({ path }) => needOf(path)));
  for (const need of ['nothing', 'any', 'read', 'admin'] as const) assert.ok(needs.has(need), need);
});

for (const [name, { allows }] of Object.entries(TOKENS))
  test(`each route lets in or denies the ${name}, as its scopes say`, async () => {
    for (const route of routes) {
      const need = needOf(route.path);
      const asked = await ask(route, urlOf(route.path), texts.get(name));
      const what = `${route.method} ${route.path}`;
      if (need === 'nothing' || allows.includes(need)) assertAllowed(asked, what);
      else assertDenied(asked, need, allows.includes('read'), what);
    }
  });

test('without a token, or with one that is revoked, only what is public answers', async () => {
  const revoked = await api.token('read:*', 'export:*', 'admin');
  await revokeToken(api.opened.database, revoked.slice(4, 16));
  for (const token of [undefined, revoked])
    for (const route of routes) {
      const asked = await ask(route, urlOf(route.path), token);
      const what = `${route.method} ${route.path}`;
      if (needOf(route.path) === 'nothing') assertAllowed(asked, what);
      else assert.deepEqual(asked, { status: 401, code: 'BACKCAST_UNAUTHENTICATED' }, what);
    }
});

/** Where somebody with every right would go on: the `next` of the first page of each list. */
async function resumePoints(): Promise<Route[]> {
  const token = texts.get('everybody');
  const tail = { method: 'GET', path: '/v1/channels/orders/tail?after=1', types: [EVENT_STREAM] };
  const points: Route[] = [tail];
  for (const { method, path } of routes) {
    if (method !== 'GET' || !path.startsWith('/v1/')) continue;
    const separator = urlOf(path).includes('?') ? '&' : '?';
    const accept = 'application/json';
    const answer = await api.ask(`${urlOf(path)}${separator}limit=1`, {
      ...(token && { token }),
      accept,
    });
    if (!answer.type.startsWith(accept)) continue;
    const { next } = JSON.parse(answer.text) as { readonly next?: string | null };
    if (typeof next === 'string') points.push({ method, path: next, types: [accept] });
  }
  return points;
}

test('going on where somebody else stopped takes the same right as beginning', async () => {
  const points = await resumePoints();
  const kinds = points.map(({ path }) => path.split('?')[0]);
  const own = '/v1/channels/orders';
  for (const path of ['/v1/channels', `${own}/messages`, `${own}/losses`, `${own}/tail`])
    assert.ok(kinds.includes(path), `${path} is gone on with`);
  for (const point of points)
    for (const [name, { allows }] of Object.entries(TOKENS)) {
      const need = needOf(point.path.split('?')[0].replace('/orders', '/{channel}'));
      const asked = await ask(point, point.path, texts.get(name));
      const what = `${name} ${point.path}`;
      if (allows.includes(need)) assertAllowed(asked, what);
      else assertDenied(asked, need, allows.includes('read'), what);
    }
});

test('a place in one channel opens no other', async () => {
  const token = texts.get('reader');
  for (const { path } of await resumePoints()) {
    if (!path.startsWith('/v1/channels/orders/')) continue;
    const moved = path.replace('/orders/', '/trades/');
    const asked = await ask({ method: 'GET', types: ['*/*'] }, moved, token);
    assert.deepEqual(asked, { status: 404, code: 'BACKCAST_CHANNEL_UNKNOWN' }, moved);
  }
});

test('a route that declares no scope does not start', async () => {
  const app = fastify();
  installAccess(app, undefined);
  app.get('/v1/forgotten', () => 'everything');
  await assert.rejects(async () => await app.ready(), /a route declares its scope.*forgotten/);
});

test('what a stranger sees of readiness is whether it is ready', async () => {
  const stranger = JSON.parse((await api.ask('/readyz')).text) as Record<string, unknown>;
  assert.deepEqual(
    [stranger['status'], stranger['archive'], stranger['durability']],
    ['ready', null, null],
  );
  const told = await api.ask('/readyz', { token: texts.get('administrator') ?? '' });
  assert.notEqual((JSON.parse(told.text) as Record<string, unknown>)['archive'], null);
});
