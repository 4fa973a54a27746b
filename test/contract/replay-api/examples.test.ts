// Every example in the document of the API: what is shown as an answer has the shape that it shows,
// and a server that is told the same story answers with it, word for word; what is shown as a
// question is answered.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Schema from 'typebox/schema';
import { parseInstant, type SessionId } from '#base/mod.ts';
import { EXAMPLES, TABLE_EXAMPLE } from '#replay-api/contract-examples.ts';
import { SHARED_SCHEMAS } from '#replay-api/contract.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';

interface OpenApi {
  readonly paths: object;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const CHANNEL = '/v1/channels/orders.eu';

let api: TestApi;
let document: OpenApi;
before(async () => {
  api = await openTestApi();
  document = JSON.parse((await api.get('/openapi.json')).text) as OpenApi;
  const detectedAtUs = at('01.000000');
  const range = { first: 2, last: 3, cause: 'repair_expired' } as const;
  await api.addChannel({
    name: 'orders.eu',
    deliveries: [
      message(1, '00.000001', '00.020000'),
      { kind: 'loss', session: SESSION, ...range, detectedAtUs },
      message(4, '03.000000', '03.020000'),
    ],
    sessions: new Map([
      [SESSION, { source: 'gateway-7', openedAtUs: at('-01'), seenAtUs: at('04.000000') }],
    ]),
  });
});
after(() => api[Symbol.asyncDispose]());

/** An instant of the story, by its seconds; one second before it for '-01'. */
function at(seconds: string): number {
  const text = seconds === '-01' ? '2026-11-22T14:04:59Z' : `2026-11-22T14:05:${seconds}Z`;
  return parseInstant(text) ?? assert.fail(text);
}

function message(sequence: number, publishedAt: string, archivedAt: string) {
  const payload = Buffer.from(`{"order":${sequence}}`);
  const sent = { session: SESSION, sequence, publishedAtUs: at(publishedAt), payload };
  return { kind: 'segment', archivedAtUs: at(archivedAt), messages: [sent] } as const;
}

function isValid(name: string, value: unknown): boolean {
  const schema = { $ref: `#/components/schemas/${name}`, components: document.components };
  return Schema.Check(schema, value);
}

test('every shape of an answer is shown, and what is shown has it', () => {
  const names = SHARED_SCHEMAS.map((schema) => (schema as { $id?: string }).$id ?? '');
  // Problems are shown where routes answer with them.
  const shown = names.filter((name) => name !== 'Problem');
  assert.deepEqual(Object.keys(EXAMPLES).toSorted(), shown.toSorted());
  for (const [name, examples] of Object.entries(EXAMPLES))
    for (const example of examples)
      assert.ok(isValid(name, example), `${name}: ${JSON.stringify(example)}`);
});

test('the document has the examples', () => {
  for (const [name, examples] of Object.entries(EXAMPLES)) {
    const schema = document.components.schemas[name] as { readonly examples?: unknown };
    assert.deepEqual(schema.examples, examples, name);
  }
});

async function ask(path: string, accept = 'application/json'): Promise<string> {
  const answer = await api.get(`${CHANNEL}${path}`, accept);
  assert.equal(answer.status, 200, answer.text);
  return answer.text;
}

test('a server that is told the story answers as is shown', async () => {
  assert.deepEqual(JSON.parse(await ask('/messages')), EXAMPLES['MessagePage'][0]);
  const lines = linesOf(await ask('/messages', 'application/x-ndjson'));
  assert.deepEqual(lines, EXAMPLES['MessageLine']);
  assert.equal(await ask('/messages', 'text/csv'), TABLE_EXAMPLE);
  assert.deepEqual(JSON.parse(await ask('/sessions')), EXAMPLES['SessionPage'][0]);
  assert.deepEqual(JSON.parse(await ask('/losses')), EXAMPLES['LossPage'][0]);
  const completeness = await ask(`/completeness?session=${SESSION}`);
  assert.deepEqual(JSON.parse(completeness), EXAMPLES['Completeness'][0]);
  const index = await api.get('/');
  assert.deepEqual(JSON.parse(index.text), EXAMPLES['Index'][0]);
});

interface Shown {
  readonly place: string;
  readonly schema: object;
  readonly value: unknown;
}

/** Every example anywhere below `node`, with the schema that it stands in. */
function* examplesIn(node: unknown, place: string): Generator<Shown> {
  if (typeof node !== 'object' || node === null) return;
  const { examples, example, schema = node } = node as Readonly<Record<string, object>>;
  if (Array.isArray(examples))
    for (const value of examples) yield { place, schema: schema, value: value as unknown };
  if (example !== undefined) yield { place, schema, value: example };
  for (const [name, child] of Object.entries(node))
    if (name !== 'examples' && name !== 'example') yield* examplesIn(child, `${place}/${name}`);
}

test('every example in the document, wherever it stands, is what it stands for', () => {
  let count = 0;
  for (const { place, schema, value } of examplesIn(document, '')) {
    count += 1;
    const root = { ...schema, components: document.components };
    assert.ok(Schema.Check(root, value), `${place}: ${JSON.stringify(value)}`);
  }
  assert.ok(count > 80, `${count} examples`);
});
