// Whatever stands in a query, the answer is one of those that the contract names: no crash, no
// surprise from the database, and nothing malformed taken for something else.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { Value } from 'typebox/value';
import type { SessionId } from '#base/mod.ts';
import { Problem } from '#replay-api/mod.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const NUMBERS = ['after', 'before', 'seenThrough', 'first', 'last', 'limit'];
const OTHERS = ['session', 'order', 'cursor', 'decode', 'estimate', 'channel', 'who', 'format'];
const FORMATS = ['ndjson', 'csv', 'parquet'];
/** Addresses that read, with what each must have. */
const ADDRESSES = [
  '/v1/channels/orders/messages?',
  '/v1/channels/orders/completeness?',
  ...FORMATS.map((format) => `/v1/channels/orders/export?format=${format}&`),
  '/v1/channels/orders/sessions?',
  '/v1/channels/orders/losses?',
  '/v1/channels/orders/deletions?',
  '/v1/access?',
];
const INSTANTS = ['from', 'to', 'archivedFrom', 'archivedTo'];

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

const anything = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.integer().map(String),
  fc.bigInt().map(String),
  fc.double().map(String),
  fc.constantFrom('', '0', '1', '9007199254740991', '9007199254740992', SESSION, 'asc', 'desc'),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
);
const name = fc.oneof(
  fc.constantFrom(...NUMBERS, ...INSTANTS, ...OTHERS),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
);
const query = fc.array(fc.tuple(name, anything), { maxLength: 4 });

function isWellFormed([key, value]: readonly [string, string]): boolean {
  if (NUMBERS.includes(key))
    return /^(0|[1-9]\d{0,15})$/.test(value) && Number.isSafeInteger(+value);
  if (INSTANTS.includes(key)) return !Number.isNaN(Date.parse(value));
  if (key === 'session') return /^[0-7][0-9a-f]{15}$/.test(value);
  if (key === 'channel') return /^[A-Za-z0-9._-]{1,128}$/.test(value);
  if (key === 'who') return /^\P{Cc}{1,1000}$/u.test(value);
  return key === 'order' && (value === 'asc' || value === 'desc');
}

test('any query is answered or refused as the contract says', async () => {
  await fc.assert(
    fc.asyncProperty(query, fc.constantFrom(...ADDRESSES), async (pairs, address) => {
      const search = pairs.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
      const answer = await api.get(address + search);
      assert.ok([200, 400, 404, 422].includes(answer.status), `${answer.status} ${answer.text}`);
      const isOnce = new Set(pairs.map(([key]) => key)).size === pairs.length;
      if (answer.status === 200) assert.ok(isOnce && pairs.every(isWellFormed), search);
      else assert.deepEqual([...Value.Errors(Problem, JSON.parse(answer.text))], []);
    }),
    { numRuns: 400 },
  );
});

const number = fc.oneof(fc.integer(), fc.maxSafeNat(), fc.double(), fc.string(), fc.constant(null));
const range = fc.record(
  { session: fc.oneof(fc.constant(SESSION), fc.string()), first: number, last: number },
  { requiredKeys: [] },
);

test('any body of a fetch is answered or refused as the contract says', async () => {
  const bodies = fc.oneof(
    fc.record({ ranges: fc.array(range, { maxLength: 3 }) }),
    fc.record({ ranges: fc.jsonValue() }),
    fc.object(),
  );
  await fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const path = '/v1/channels/orders/messages:fetch';
      const answer = await api.ask(path, { method: 'POST', body });
      assert.ok([200, 400, 422].includes(answer.status), `${answer.status} ${answer.text}`);
      if (answer.status !== 200)
        assert.deepEqual([...Value.Errors(Problem, JSON.parse(answer.text))], []);
    }),
    { numRuns: 300 },
  );
});

test('any place where a tail is to go on is refused, if it is none', async () => {
  const places = anything.filter((text) => !/^(0|[1-9]\d{0,15})?$/.test(text.trim()));
  await fc.assert(
    fc.asyncProperty(places, fc.constantFrom('header', 'query'), async (text, where) => {
      const place = encodeURIComponent(text);
      const isHeader = where === 'header';
      const path = `/v1/channels/orders/tail${isHeader ? '' : `?after=${place}`}`;
      const headers = { accept: 'text/event-stream', ...(isHeader && { 'last-event-id': place }) };
      const answer = await api.ask(path, { headers });
      assert.equal(answer.status, 400, `${answer.status} ${answer.text}`);
      assert.deepEqual([...Value.Errors(Problem, JSON.parse(answer.text))], []);
    }),
    { numRuns: 200 },
  );
});

test('any name of a channel is answered or refused as the contract says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', minLength: 1 }), async (channel) => {
      const answer = await api.get(`/v1/channels/${encodeURIComponent(channel)}`);
      const isName = /^[A-Za-z0-9._-]{1,128}$/.test(channel);
      const expected = channel === 'orders' ? 200 : isName ? 404 : 400;
      if (channel !== '.' && channel !== '..') assert.equal(answer.status, expected, channel);
    }),
    { numRuns: 200 },
  );
});
