// Fetching many ranges of sessions at once: each is told in full, with what is missing of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Value } from 'typebox/value';
import type { SessionId } from '#base/mod.ts';
import { EndItem, RangeItem } from '#replay-api/mod.ts';
import { instantAt, segment, sent } from '#test/support/filled-archive.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';
import { decoded } from '#test/support/segment-stream.ts';

const NDJSON = 'application/x-ndjson';
const SEGMENTS = 'application/vnd.backcast.segments';
const A = '00000000000000aa' as SessionId;
const B = '7bbbbbbbbbbbbbbb' as SessionId;
const UNHEARD = '00000000000000ab';

let api: TestApi;
before(async () => {
  api = await openTestApi();
  const lost = { kind: 'loss' as const, session: A, first: 3, last: 7, detectedAtUs: instantAt(5) };
  await api.addChannel({
    name: 'holes',
    deliveries: [
      segment(10, [sent(A, 1, 1), sent(B, 1, 1)]),
      segment(20, [sent(A, 2, 2)]),
      { ...lost, cause: 'repair_expired' },
      segment(30, [sent(A, 8, 8), sent(B, 2, 2)]),
    ],
  });
});
after(() => api[Symbol.asyncDispose]());

async function fetched(ranges: readonly object[], accept = NDJSON) {
  const question = { method: 'POST' as const, headers: { accept }, body: { ranges } };
  return api.ask('/v1/channels/holes/messages:fetch', question);
}

test('a fetch tells each of its ranges, and behind it whether that was all', async () => {
  const { text } = await fetched([
    { session: B, first: 1, last: 1 },
    { session: A, first: 2, last: 9 },
    { session: UNHEARD, first: 4, last: 5 },
  ]);
  const told = linesOf(text);
  assert.deepEqual(
    told.map(({ kind, sequence, first, status, untoldFrom }) => [
      kind,
      sequence ?? first,
      status,
      untoldFrom,
    ]),
    [
      ['message', 1, undefined, undefined],
      ['range', 1, 'complete', null],
      ['message', 2, undefined, undefined],
      ['loss', 3, undefined, undefined],
      ['message', 8, undefined, undefined],
      ['range', 2, 'unsettled', 9],
      ['range', 4, 'unsettled', 4],
      ['end', undefined, 'unsettled', undefined],
    ],
  );
  for (const line of told.filter(({ kind }) => kind === 'range')) {
    assert.ok(Value.Check(RangeItem, line));
  }
  assert.ok(Value.Check(EndItem, told.at(-1)));
});

test('a fetch comes as a segment stream too', async () => {
  const { bytes } = await fetched([{ session: A, first: 2, last: 9 }], SEGMENTS);
  const entries = decoded(bytes);
  assert.deepEqual(
    entries.map(({ kind }) => kind),
    ['begin', 'messages', 'loss', 'messages', 'range', 'end'],
  );
  assert.deepEqual(entries[4], {
    kind: 'range',
    session: A,
    first: 2,
    last: 9,
    status: 'unsettled',
    untoldFrom: 9,
  });
});

test('a fetch of what cannot be ranges is refused, and the place is named', async () => {
  const good = { session: A, first: 1, last: 2 };
  for (const body of [
    {},
    { ranges: [] },
    { ranges: [{ ...good, first: '1' }] },
    { ranges: [{ ...good, last: 2 ** 53 }] },
    { ranges: [{ ...good, session: 'x' }] },
    { ranges: [{ ...good, surprise: 1 }] },
    { ranges: [good], surprise: 1 },
    { ranges: Array.from({ length: 1_001 }, () => good) },
  ]) {
    const answer = await api.ask('/v1/channels/holes/messages:fetch', { method: 'POST', body });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.text, /BACKCAST_RANGE_INVALID/);
    assert.match(answer.text, /The body/);
  }
  const inverted = await fetched([{ ...good, first: 3 }]);
  assert.equal(inverted.status, 422, inverted.text);
});

test('a thousand ranges are answered', async () => {
  const range = { session: A, first: 1, last: 2 };
  const { text, status } = await fetched(Array.from({ length: 1_000 }, () => range));
  assert.equal(status, 200, text);
  const end = linesOf(text).at(-1);
  assert.deepEqual([end?.['status'], end?.['count']], ['complete', 2_000]);
});
