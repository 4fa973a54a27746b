// Every error that the API says it answers with, on every route that says so: each is brought
// about, and what comes is the problem that the document describes, with the status of the
// registry. What is documented and cannot be brought about fails here, and so does what comes and
// is not documented.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Schema from 'typebox/schema';
import { openDatabase, type OpenDatabase } from '#archive/mod.ts';
import { ERRORS, type SessionId } from '#base/mod.ts';
import { API_ERROR_CODES, type ApiErrorCode } from '#replay-api/contract-problems.ts';
import { AccessControl, type ApiLimits, createReplayApi } from '#replay-api/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { createEmptyDatabase } from '#test/support/postgres.ts';
import { silentLogger } from '#test/support/replay-api.ts';

interface Response {
  readonly content?: Readonly<
    Record<string, { readonly examples?: Readonly<Record<string, { readonly value: object }>> }>
  >;
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, Response>>;
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: object;
}

/** A server that can bring about what others cannot. */
type Place =
  | 'sound'
  | 'away'
  | 'empty'
  | 'refused'
  | 'broken'
  | 'issuer'
  | 'rated'
  | 'full'
  | 'crowded';

/** What is asked so that an error comes; the rest is as it should be. */
interface Provocation {
  readonly place?: Place;
  readonly channel?: string;
  readonly query?: string;
  readonly accept?: string;
  readonly token?: string;
  readonly body?: object;
}

type App = Awaited<ReturnType<typeof createReplayApi>>;

const PROBLEM_TYPE = 'application/problem+json';
const SESSION = '5f0c9d2ab8e17346' as SessionId;
const UNHEARD = '00000000000000ab';
/** What a route cannot be asked without. */
const NEEDED: Readonly<Record<string, string>> = {
  getCompleteness: `session=${SESSION}`,
  exportMessages: 'format=ndjson',
};
const INVERTED: Readonly<Record<string, string>> = {
  listAccesses: 'from=2026-11-22T00:00:01Z&to=2026-11-22T00:00:00Z',
  getCompleteness: `session=${SESSION}&first=9&last=8`,
};
const JWT = ['{"alg":"ES256","kid":"a"}', '{"sub":"a"}', 'signature']
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.');

let api: ControlledApi;
let document: OpenApi;
let reader: string;
let everything: string;
const places = new Map<Place, App>();
const resources = new AsyncDisposableStack();

before(async () => {
  api = resources.use(await openControlledApi());
  for (const name of ['orders', 'purged']) {
    await api.addChannel({ name, deliveries: [0, 1].map(deliveryOf) });
  }
  await api.opened.database
    .deleteFrom('partition_bounds')
    .where('first_position', '=', 1)
    .where('channel_id', '=', (eb) =>
      eb.selectFrom('channels').select('channel_id').where('name', '=', 'purged'),
    )
    .execute();
  reader = await api.token('read:*');
  everything = await api.token('read:*', 'export:*', 'admin');
  await api.access.recheck(performance.now());
  document = (await api.app.inject('/openapi.json')).json();
  await openPlaces();
});
after(() => resources.disposeAsync());

function deliveryOf(day: number) {
  const publishedAtUs = instantAt(day * 86_400);
  const payload = Buffer.from('x');
  const message = { session: SESSION, sequence: day + 1, publishedAtUs, payload };
  return { kind: 'segment', archivedAtUs: publishedAtUs, messages: [message] } as const;
}

async function openPlaces(): Promise<void> {
  places.set('sound', api.app);
  const empty = resources.use(await createEmptyDatabase());
  await addPlace('away', { database: opened('postgres://nobody@127.0.0.1:1/none') });
  await addPlace('empty', { database: opened(empty.url) });
  // A role that may connect, and read nothing of ours.
  const refused = new URL(api.url);
  refused.searchParams.set('options', '-c role=pg_monitor');
  await addPlace('refused', { database: opened(refused.href) });
  const { opened: database } = api;
  const jwt = { jwksUrl: 'http://127.0.0.1:1/', issuer: 'i', audience: 'a' };
  const access = resources.use(await AccessControl.open({ database, logger: silentLogger, jwt }));
  await addPlace('issuer', { database, access });
  // It lacks what makes an access control: whoever asks it meets a bug.
  const broken = Object.create(api.access) as AccessControl;
  await addPlace('broken', { database, access: broken });
  const none = { readersMax: 0, readersPerCallerMax: 0 };
  await addPlace('rated', { database, limits: { requestsPerSecMax: 1 } });
  const full = { ...none, readersPerCallerMax: 1 };
  await addPlace('full', { database, limits: { ...full, tails: full } });
  await addPlace('crowded', { database, limits: { ...none, tails: none } });
}

function opened(url: string): OpenDatabase {
  const bounds = { poolConnectionsMax: 2, statementTimeoutMs: 10_000 };
  const database = openDatabase({ url, ...bounds, applicationName: 'problems' });
  resources.defer(() => database.close());
  return database;
}

async function addPlace(
  place: Place,
  options: {
    readonly database: OpenDatabase;
    readonly access?: AccessControl;
    readonly limits?: Partial<ApiLimits>;
  },
): Promise<void> {
  const app = await createReplayApi({ logger: silentLogger, ...options });
  resources.defer(() => app.close());
  places.set(place, app);
}

/** How each error is brought about on a route. */
const PROVOCATIONS: Readonly<Record<ApiErrorCode, (operationId: string) => Provocation>> = {
  BACKCAST_RANGE_INVALID: () => ({ query: 'surprise=1' }),
  BACKCAST_RANGE_INVERTED: (operationId) =>
    operationId === 'fetchMessages'
      ? { body: { ranges: [{ session: SESSION, first: 9, last: 8 }] } }
      : { query: INVERTED[operationId] ?? 'after=9&before=8' },
  BACKCAST_CHANNEL_NAME: () => ({ channel: 'a%20b' }),
  BACKCAST_CURSOR_INVALID: () => ({ query: 'cursor=AbC_0123456789-xyz' }),
  BACKCAST_UNAUTHENTICATED: () => ({ token: 'bc_nonsense' }),
  BACKCAST_FORBIDDEN: () => ({ token: reader }),
  BACKCAST_CHANNEL_UNKNOWN: () => ({ channel: 'none' }),
  BACKCAST_SESSION_UNKNOWN: () => ({ query: `session=${UNHEARD}` }),
  BACKCAST_NOT_FOUND: () => assert.fail('no route is not found'),
  BACKCAST_NOT_ACCEPTABLE: () => ({ accept: 'text/html' }),
  BACKCAST_HISTORY_GONE: (operationId) =>
    operationId === 'fetchMessages'
      ? { channel: 'purged' }
      : { channel: 'purged', query: 'after=0' },
  BACKCAST_ARCHIVE_REWOUND: () => ({ query: 'after=0&seenThrough=99' }),
  BACKCAST_RATE_LIMITED: () => ({ place: 'rated' }),
  BACKCAST_TOO_MANY_READERS: () => ({ place: 'crowded' }),
  BACKCAST_INTERNAL: () => ({ place: 'broken' }),
  BACKCAST_DATABASE_REFUSED: () => ({ place: 'refused' }),
  BACKCAST_DATABASE_UNREACHABLE: () => ({ place: 'away' }),
  BACKCAST_SCHEMA_MISSING: () => ({ place: 'empty' }),
  BACKCAST_ISSUER_UNREACHABLE: () => ({ place: 'issuer', token: JWT }),
  BACKCAST_BUSY: () => ({ place: 'full' }),
};

interface Came {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly problem: {
    readonly code: ApiErrorCode;
    readonly status: number;
    readonly title: string;
  };
  readonly told: string;
}

/** What comes when `code` is brought about; undefined if no problem does. */
async function provoke(route: Route, code: ApiErrorCode): Promise<Came | undefined> {
  const { path, method, operation } = route;
  const asked = PROVOCATIONS[code](operation.operationId);
  const { place = 'sound', channel = 'orders', accept, token = everything } = asked;
  const needed = NEEDED[operation.operationId];
  const isGiven = needed === undefined || asked.query?.startsWith(needed.slice(0, 7)) === true;
  const search = [isGiven ? '' : needed, asked.query ?? ''].filter(Boolean).join('&');
  const url = `${path.replace('{channel}', channel)}?${search}`;
  const headers = { authorization: `Bearer ${token}`, ...(accept && { accept }) };
  const body = asked.body ?? { ranges: [{ session: SESSION, first: 1, last: 1 }] };
  const ask = () => {
    // A tail that goes well has no end: its body is not waited for.
    const question = { method, url, headers, payloadAsStream: true } as const;
    const payload = operation.requestBody === undefined ? {} : { payload: body };
    return places.get(place)?.inject({ ...question, ...payload }) ?? assert.fail(place);
  };
  let answer = await ask();
  // The first request is one that the limit lets through.
  if (place === 'rated' && answer.statusCode !== 429) {
    answer.stream().destroy();
    answer = await ask();
  }
  const { statusCode: status, headers: given } = answer;
  if (!String(given['content-type']).startsWith(PROBLEM_TYPE)) {
    answer.stream().destroy();
    return undefined;
  }
  const text = Buffer.concat(await answer.stream().toArray()).toString();
  const told = `${method} ${url}: ${status} ${text}`;
  return { status, headers: given, problem: JSON.parse(text) as Came['problem'], told };
}

interface Route {
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly operation: Operation;
}

function routes(): Route[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([name, operation]) => {
      return { path, method: name === 'post' ? 'POST' : 'GET', operation };
    }),
  );
}

/** The problems that a route documents, by status and code. */
function documented({ responses }: Operation) {
  return Object.entries(responses).flatMap(([status, { content }]) =>
    Object.entries(content?.[PROBLEM_TYPE]?.examples ?? {}).map(([code, { value }]) => ({
      status: Number(status),
      code: code as ApiErrorCode,
      value,
    })),
  );
}

function assertProblem(value: unknown, why: string): void {
  const schema = { $ref: '#/components/schemas/Problem', components: document.components };
  assert.ok(Schema.Check(schema, value), `${why}: ${JSON.stringify(value)}`);
}

for (const code of API_ERROR_CODES.filter((one) => one !== 'BACKCAST_NOT_FOUND')) {
  test(`every route that says so answers ${code}, as it says`, async () => {
    const saying = routes().filter(({ operation }) =>
      documented(operation).some((problem) => problem.code === code),
    );
    assert.ok(saying.length > 0, 'a route documents it');
    for (const route of saying) {
      const came = await provoke(route, code);
      assert.ok(came !== undefined, `${route.path} answers no problem`);
      const { status, headers, problem, told } = came;
      assertProblem(problem, told);
      assert.equal(problem.code, code, told);
      assert.equal(problem.title, ERRORS[code].title);
      assert.equal(status, ERRORS[code].httpStatus, told);
      assert.equal(problem.status, status, told);
      assert.equal('retry-after' in headers, status === 429 || status === 503, told);
    }
  });
}

test('what is wrong on any route is among what the route documents', async () => {
  for (const route of routes()) {
    const known = new Set(documented(route.operation).map(({ code }) => code));
    for (const code of API_ERROR_CODES) {
      if (known.has(code) || code === 'BACKCAST_NOT_FOUND') continue;
      const came = await provoke(route, code);
      if (came !== undefined) assert.ok(known.has(came.problem.code), came.told);
    }
  }
});

test('documented problems have the status of the registry and are what they show', () => {
  for (const { path, operation } of routes()) {
    for (const { status, code, value } of documented(operation)) {
      assert.equal(status, ERRORS[code].httpStatus, `${path} ${code}`);
      assertProblem(value, path);
    }
  }
});

test('an address that is none answers as the document says', async () => {
  const answer = await api.app.inject('/v2');
  assertProblem(answer.json(), '/v2');
  assert.equal(answer.json<{ code: string }>().code, 'BACKCAST_NOT_FOUND');
});

test('the page of errors names those of the API, and no others', () => {
  const page = readFileSync(
    fileURLToPath(new URL('../../../docs/errors.md', import.meta.url)),
    'utf8',
  );
  const [, list = ''] = /<!-- api -->([^]*?)<!-- \/api -->/.exec(page) ?? [];
  const named = [...list.matchAll(/`(BACKCAST_\w+)`/g)].map(([, code]) => code);
  assert.deepEqual(named.toSorted(), [...API_ERROR_CODES].toSorted());
});
