// The document is consistent OpenAPI 3.1, describes every route, and what it gives as examples
// answers as it says. The page that shows it loads nothing from elsewhere.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Schema from 'typebox/schema';
import type { SessionId } from '#base/mod.ts';
import { parseInstant } from '#base/mod.ts';
import { type Answer, linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly example?: string | number;
  readonly schema: { readonly minimum?: number; readonly enum?: readonly string[] };
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: {
    readonly content: Record<string, { readonly example: object }>;
  };
  readonly parameters?: readonly Parameter[];
  readonly responses: Record<
    string,
    { description?: string; content?: Record<string, { schema: object }> }
  >;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

const SESSION = '5f0c9d2ab8e17346' as SessionId;

let api: TestApi;
let document: OpenApi;
before(async () => {
  api = await openTestApi();
  const publishedAtUs = parseInstant('2026-11-22T14:05:00.000001Z') ?? 0;
  const message = { session: SESSION, sequence: 1, publishedAtUs, payload: Buffer.from('x') };
  await api.addChannel({
    name: 'orders.eu',
    deliveries: [{ kind: 'segment', archivedAtUs: publishedAtUs, messages: [message] }],
  });
  document = JSON.parse((await api.get('/openapi.json')).text) as OpenApi;
});
after(() => api[Symbol.asyncDispose]());

function operations(): { readonly path: string; readonly operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, operation })),
  );
}

function isValid(schema: object, value: unknown): boolean {
  const root = { ...schema, components: document.components };
  return Schema.Check(root, value);
}

test('operations have names of their own, and declare the parameters of their paths', () => {
  assert.equal(document.openapi, '3.1.0');
  const names = operations().map(({ operation }) => operation.operationId);
  assert.equal(new Set(names).size, names.length);
  for (const { path, operation } of operations()) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
    assert.deepEqual(
      declared.map((parameter) => parameter.name),
      inPath,
      path,
    );
    assert.ok(
      declared.every((parameter) => parameter.required === true),
      path,
    );
    for (const response of Object.values(operation.responses))
      assert.ok(response.description, path);
  }
});

test('every reference in the document leads somewhere', () => {
  const references = JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g);
  const names = [...references].map(([, reference]) => reference);
  assert.ok(names.length > 0);
  for (const name of names) {
    assert.ok(name.startsWith('#/components/schemas/'), name);
    assert.ok(Object.hasOwn(document.components.schemas, name.split('/')[3]), name);
  }
});

test('every route is described, and says how it fails', () => {
  assert.deepEqual(
    operations().map(({ path }) => path),
    [
      '/v1/channels',
      '/v1/channels/{channel}',
      '/v1/channels/{channel}/sessions',
      '/v1/channels/{channel}/losses',
      '/v1/channels/{channel}/deletions',
      '/v1/channels/{channel}/conflicts',
      '/v1/channels/{channel}/messages',
      '/v1/channels/{channel}/messages:fetch',
      '/v1/channels/{channel}/completeness',
      '/v1/channels/{channel}/export',
      '/v1/channels/{channel}/tail',
      '/v1/access',
      '/',
      '/healthz',
      '/readyz',
    ],
  );
  for (const { path, operation } of operations()) {
    if (path.startsWith('/v1/')) assert.ok('503' in operation.responses, path);
  }
});

function exampleUrl(path: string, operation: Operation, isFull: boolean): string {
  const query = new URLSearchParams();
  let filled = path;
  for (const parameter of operation.parameters ?? []) {
    const example = String(parameter.example ?? '');
    if (parameter.in === 'path') filled = filled.replace(`{${parameter.name}}`, example);
    else if (parameter.required === true || (isFull && parameter.name === 'limit')) {
      query.set(parameter.name, example);
    }
  }
  return query.size === 0 ? filled : `${filled}?${query.toString()}`;
}

function askExample(url: string, { requestBody }: Operation, accept: string): Promise<Answer> {
  if (requestBody === undefined) return api.get(url, accept);
  const body = requestBody.content['application/json'].example;
  return api.ask(url, { method: 'POST', headers: { accept }, body });
}

test('every documented example answers as documented', async () => {
  for (const { path, operation } of operations()) {
    for (const [type, { schema }] of Object.entries(operation.responses['200'].content ?? {})) {
      // A tail has no end; tail.test.ts holds its frames against the document.
      if (type === 'text/event-stream') continue;
      const url = exampleUrl(path, operation, true);
      const answer = await askExample(url, operation, type);
      assert.equal(answer.status, 200, `${url}: ${answer.text}`);
      // The form of an export is a parameter.
      if (!path.endsWith('/export')) assert.ok(answer.type.startsWith(type));
      if (!type.endsWith('json')) continue;
      const bodies = type.includes('ndjson') ? linesOf(answer.text) : [JSON.parse(answer.text)];
      for (const body of bodies)
        assert.ok(isValid(schema, body), `${url}: ${JSON.stringify(body)}`);
    }
  }
});

async function cursor(): Promise<string> {
  const page = await api.get('/v1/channels/orders.eu/messages');
  return (JSON.parse(page.text) as { cursor: string }).cursor;
}

test('each parameter of messages works with its example', async () => {
  const operation = document.paths['/v1/channels/{channel}/messages']['get'];
  const path = '/v1/channels/orders.eu/messages';
  for (const { name, in: place, example, schema } of operation.parameters ?? []) {
    const text = String(example ?? schema.minimum ?? schema.enum?.at(-1) ?? (await cursor()));
    if (place !== 'query' || name === 'first' || name === 'last') continue;
    const answer = await api.get(`${path}?${name}=${encodeURIComponent(text)}`);
    assert.equal(answer.status, 200, `${name}=${text}: ${answer.text}`);
  }
});

test('the page is served from here and may load nothing from elsewhere', async () => {
  const moved = await api.get('/docs');
  assert.equal(moved.headers['location'], '/docs/');
  const page = await api.get('/docs/');
  assert.equal(page.status, 200);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
  const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, address]) => address,
  );
  assert.deepEqual(addresses, ['js/scalar.js']);
  assert.equal((await api.get('/docs/js/scalar.js')).status, 200);
});
