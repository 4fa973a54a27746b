// Every route that the contract names is asked with every parameter wrong, in every way in which
// one can be: the answer is a refusal that names it, the database hears nothing of it, and the
// process lives on. The routes come from /openapi.json, so that a new one is asked as well.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { Value } from 'typebox/value';
import { openDatabase, type OpenDatabase } from '#archive/mod.ts';
import { createReplayApi, Problem } from '#replay-api/mod.ts';
import { silentLogger } from '#test/support/replay-api.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema: {
    readonly type?: string;
    readonly format?: string;
    readonly pattern?: string;
    readonly enum?: unknown[];
  };
}

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly hasBody: boolean;
}

let away: OpenDatabase;
let door: Server;
let app: FastifyInstance;
let routes: Route[];
let databaseCalls = 0;

before(async () => {
  // In place of a database: whoever asks it is counted, and turned away.
  door = createServer((socket) => {
    databaseCalls += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(door, 'listening');
  away = openDatabase({
    url: `postgres://nobody@127.0.0.1:${(door.address() as AddressInfo).port}/none`,
    poolConnectionsMax: 1,
    applicationName: 'every route',
    statementTimeoutMs: 1_000,
  });
  app = await createReplayApi({
    database: away,
    logger: silentLogger,
    limits: { requestsPerSecMax: 1_000_000 },
  });
  routes = routesOf((await app.inject('/openapi.json')).json());
});
after(async () => {
  await app.close();
  await away.close();
  door.close();
});

interface Contract {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { readonly parameters?: readonly Parameter[]; readonly requestBody?: unknown }
        >
      >
    >
  >;
}

function routesOf({ paths }: Contract): Route[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([name, { parameters = [], requestBody }]) => {
      const method = name.toUpperCase() as Route['method'];
      return { method, path, parameters, hasBody: requestBody !== undefined };
    }),
  );
}

/** What stands for a parameter that is not the one in question. */
function sound({ schema: { type, format, enum: choices } }: Parameter): string {
  if (choices !== undefined) return String(choices[0]);
  if (type === 'integer') return '1';
  return format === 'date-time' ? '2026-11-22T14:05:00Z' : '00000000000000aa';
}

function address(route: Route, given: ReadonlyMap<string, string>): string {
  const fill = (_: string, name: string): string =>
    encodeURIComponent(given.get(name) ?? (name === 'channel' ? 'orders' : 'x'));
  const path = route.path.replaceAll(/\{([^}]+)\}/g, fill);
  const query = route.parameters.filter(
    (one) => one.in === 'query' && (one.required === true || given.has(one.name)),
  );
  const search = query.map((one) => {
    return `${one.name}=${encodeURIComponent(given.get(one.name) ?? sound(one))}`;
  });
  return search.length === 0 ? path : `${path}?${search.join('&')}`;
}

async function assertRefused(method: Route['method'], url: string): Promise<void> {
  const callsBefore = databaseCalls;
  const answer = await app.inject({ method, url });
  const told = `${method} ${url}: ${answer.statusCode} ${answer.body.slice(0, 300)}`;
  assert.ok([400, 404, 405, 406, 414, 415, 422].includes(answer.statusCode), told);
  assert.deepEqual([...Value.Errors(Problem, answer.json())], [], told);
  assert.equal(databaseCalls, callsBefore, `the database was asked for ${url}`);
}

const WRONG_NUMBERS = [
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
  '1_000',
  '9007199254740992',
  '18446744073709551616',
  '9'.repeat(400),
  '\u0661',
  '1\0',
  '1;--',
];
const WRONG_INSTANTS = [
  '',
  'now',
  '0',
  '2026-11-22',
  '2026-11-22T14:05:00',
  '2026-13-01T00:00:00Z',
  '2026-02-30T00:00:00Z',
  '2026-11-22T25:00:00Z',
  '+275760-09-13',
  'x'.repeat(900),
];
const WRONG_CHANNELS = ['a b', 'a\0b', '../x', 'a/b', 'é', 'x'.repeat(129), "'; --", '%', '\u202e'];

function wrongValues({ name, schema }: Parameter): readonly string[] {
  if (name === 'channel') return WRONG_CHANNELS;
  if (schema.type === 'integer') return WRONG_NUMBERS;
  if (schema.format === 'date-time') return WRONG_INSTANTS;
  if (schema.enum !== undefined) return ['', 'up', 'ASC', '0', '\0'];
  const known = new RegExp(schema.pattern ?? '^[^\\0]*$');
  return ['\0', '\u{1f6f0}', ' ', '\u007f', 'y'.repeat(2_000)].filter((one) => !known.test(one));
}

test('the contract names the routes, and asking the database is noticed', async () => {
  assert.ok(routes.length > 10, `${routes.length} routes`);
  assert.equal((await app.inject('/v1/channels')).statusCode, 503);
  assert.ok(databaseCalls > 0);
  assert.ok(routes.some(({ path }) => path === '/v1/channels/{channel}/messages'));
});

test('a parameter that is wrong is refused on every route that takes it', async () => {
  for (const route of routes) {
    for (const parameter of route.parameters) {
      for (const value of wrongValues(parameter)) {
        await assertRefused(route.method, address(route, new Map([[parameter.name, value]])));
      }
    }
  }
});

test('a parameter that no route takes, or that is given twice, is refused on all', async () => {
  for (const route of routes) {
    const plain = address(route, new Map());
    const join = plain.includes('?') ? '&' : '?';
    for (const other of ['surprise=1', '__proto__=1', 'constructor=1', 'limit[]=1', '%00=1']) {
      await assertRefused(route.method, `${plain}${join}${other}`);
    }
    for (const one of route.parameters.filter(({ in: place }) => place === 'query')) {
      const value = encodeURIComponent(sound(one));
      const twice = `${one.name}=${value}&${one.name}=${value}`;
      await assertRefused(route.method, `${plain}${join}${twice}`);
    }
  }
});

test('a body that is not what a route takes is refused', async () => {
  const taking = routes.filter(({ hasBody }) => hasBody);
  assert.ok(taking.length > 0, 'some route takes a body');
  const bodies = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', '{', '[]', 'null', '{"ranges":{}}', '{"__proto__":{"ranges":[]}}'),
    fc.anything().map((ranges) => JSON.stringify({ ranges: [ranges] }) ?? ''),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...taking), bodies, async (route, payload) => {
      const callsBefore = databaseCalls;
      const headers = { 'content-type': 'application/json' };
      const { method } = route;
      const answer = await app.inject({ method, url: address(route, new Map()), headers, payload });
      const told = `${payload}: ${answer.statusCode} ${answer.body.slice(0, 300)}`;
      assert.ok([400, 413, 415, 422].includes(answer.statusCode), told);
      assert.deepEqual([...Value.Errors(Problem, answer.json())], [], told);
      assert.equal(databaseCalls, callsBefore, 'the database was asked');
    }),
    { numRuns: 500 },
  );
});

test('no query whatever is answered but as the contract says, and nothing breaks', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.integer().map(String),
    fc.double().map(String),
    fc.constantFrom('', '0', '9007199254740992', '00000000000000aa', '2026-11-22T14:05:00Z'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(fc.tuple(fc.nat(), text), { maxLength: 5 }),
      fc.option(fc.string({ unit: 'binary', maxLength: 40 })),
      async (which, pairs, accept) => {
        const route = routes[which % routes.length];
        const given = new Map<string, string>();
        for (const [index, value] of pairs) {
          const parameter = route.parameters[index % Math.max(1, route.parameters.length)];
          if (parameter !== undefined) given.set(parameter.name, value);
        }
        const headers = accept === null ? {} : { accept: encodeURIComponent(accept) };
        const url = address(route, given);
        const answer = await app.inject({ method: route.method, url, headers });
        // What is right asks the database, which is not there.
        const isSound = [200, 204, 503].includes(answer.statusCode);
        if (isSound) return;
        const told = `${route.method} ${url}: ${answer.statusCode} ${answer.body.slice(0, 300)}`;
        assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, told);
        assert.deepEqual([...Value.Errors(Problem, answer.json())], [], told);
      },
    ),
    { numRuns: 1_000 },
  );
  assert.equal((await app.inject('/healthz')).statusCode, 200);
});
