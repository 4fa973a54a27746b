// The forms in which messages come beside pages and plain lines, and the ways to ask for them: each
// tells the same messages, losses and ends.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Value } from 'typebox/value';
import type { SessionId } from '#base/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import { EstimateItem, MessageItem } from '#replay-api/mod.ts';
import { instantAt, segment, sent } from '#test/support/filled-archive.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';
import { decoded, messagesAmong } from '#test/support/segment-stream.ts';

const NDJSON = 'application/x-ndjson';
const SEGMENTS = 'application/vnd.backcast.segments';
const CSV = 'text/csv';
const A = '00000000000000aa' as SessionId;
const B = '7bbbbbbbbbbbbbbb' as SessionId;
const HOLES = '/v1/channels/holes/messages';

const CONTENTS = [
  '{"a": [1,\n 2]}',
  'null',
  '{"a":',
  '1e400',
  '',
  '"\ufffd"',
  '\ufeff1',
  Buffer.from([0xff]),
];

let api: TestApi;
before(async () => {
  api = await openTestApi();
  const lost = { kind: 'loss' as const, session: A, first: 3, last: 7, detectedAtUs: instantAt(5) };
  await api.addChannel({
    name: 'holes',
    deliveries: [
      segment(10, [sent(A, 1, 0), sent(B, 1, 1)]),
      segment(20, [sent(A, 2, 2)]),
      { ...lost, cause: 'repair_expired' },
      segment(30, [sent(A, 8, 6), sent(B, 2, 7)]),
    ],
    sessions: new Map([[B, { source: null, isForeign: true }]]),
  });
  await api.addChannel({
    name: 'contents',
    deliveries: [
      segment(
        1,
        CONTENTS.map((one, index) => sent(A, index + 1, index, Buffer.from(one))),
      ),
    ],
  });
  await api.addChannel({
    name: 'quoted',
    deliveries: [
      segment(1, [
        sent(A, 1, 0, Buffer.from('plain')),
        sent(A, 2, 0, Buffer.from('a "b",\r\nc')),
        sent(A, 3, 0, Buffer.from([0xff])),
      ]),
    ],
    sessions: new Map([[A, { source: 'gateway, 7' }]]),
  });
  await api.addChannel({
    name: 'parts',
    framing: 'zmq',
    deliveries: [
      segment(1, [sent(A, 1, 0, Buffer.from(zmqMessage([Buffer.from('t'), Buffer.from('[1]')])))]),
    ],
  });
});
after(() => api[Symbol.asyncDispose]());

type Line = Record<string, unknown>;

async function lines(path: string): Promise<Line[]> {
  const answer = await api.get(path, NDJSON);
  assert.equal(answer.status, 200, answer.text);
  return linesOf(answer.text);
}

async function page(path: string): Promise<Line & { readonly items: readonly Line[] }> {
  const answer = await api.get(path);
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as Line & { readonly items: readonly Line[] };
}

async function rows(path: string): Promise<string[]> {
  const answer = await api.get(path, CSV);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.type, 'text/csv; charset=utf-8; header=present');
  return answer.text.split('\r\n');
}

async function code(path: string, accept?: string): Promise<unknown> {
  return (JSON.parse((await api.get(path, accept)).text) as Line)['code'];
}

const COLUMNS =
  'kind,position,session,source,sequence,lastSequence,publishedAt,archivedAt,encoding,payload,' +
  'detail';

for (const order of ['asc', 'desc'] as const) {
  test(`the segment stream tells what NDJSON tells, ${order}`, async () => {
    for (const channel of ['holes', 'contents', 'parts']) {
      const path = `/v1/channels/${channel}/messages?order=${order}`;
      const { bytes, type } = await api.get(path, SEGMENTS);
      assert.equal(type, SEGMENTS);
      const entries = decoded(bytes).filter(({ kind }) => kind !== 'estimate');
      const told = await lines(path);
      const byPosition = new Map(messagesAmong(entries).map((one) => [one.position, one]));
      for (const line of told.filter(({ kind }) => kind === 'message')) {
        const message = byPosition.get(line['position'] as number);
        const { session, sequence } = line;
        assert.deepEqual([message?.session, message?.sequence], [session, sequence]);
      }
      const kinds = entries.flatMap((entry) => {
        if (entry.kind !== 'messages') return [entry.kind];
        return Array.from({ length: entry.messageCount }, () => 'message');
      });
      assert.deepEqual(kinds, ['begin', ...told.map(({ kind }) => kind)]);
      const begin = entries.at(0);
      assert.ok(begin?.kind === 'begin');
      assert.deepEqual([begin.channel, begin.order], [channel, order]);
    }
  });
}

test('a run of the segment stream says where its session comes from', async () => {
  const entries = decoded((await api.get(HOLES, SEGMENTS)).bytes);
  const origins = entries.flatMap((entry) =>
    entry.kind === 'messages' ? [[entry.session, entry.source, entry.isForeign]] : [],
  );
  assert.deepEqual(origins.slice(0, 2), [
    [A, 'source-00aa', false],
    [B, null, true],
  ]);
});

test('every payload comes back byte for byte in the segment stream', async () => {
  const { bytes } = await api.get('/v1/channels/contents/messages', SEGMENTS);
  assert.deepEqual(
    messagesAmong(decoded(bytes)).map(({ payload }) => Buffer.from(payload)),
    CONTENTS.map((one) => Buffer.from(one)),
  );
});

test('the same messages come as rows of CSV, a loss and the end are rows as well', async () => {
  const all = await rows(HOLES);
  assert.equal(all.shift(), COLUMNS);
  assert.equal(all.pop(), '');
  assert.deepEqual(
    all.map((row) => row.split(',')[0]),
    ['message', 'message', 'message', 'loss', 'message', 'message', 'end'],
  );
  assert.equal(all[3], `loss,3,${A},source-00aa,3,7,,2026-11-20T12:00:06.000000Z,,,repair_expired`);
  assert.equal(all[6], 'end,5,,,5,,,,,,partial');
});

test('a cell with a comma, a quote or a line end is quoted, and bytes are base64', async () => {
  const [, first, ...others] = await rows('/v1/channels/quoted/messages');
  assert.match(first, /^message,1,00000000000000aa,"gateway, 7",1,1,.*,utf8,plain,$/);
  const text = others.join('\r\n');
  assert.ok(text.includes(',utf8,"a ""b"",\r\nc",\r\n'), text);
  assert.ok(text.includes(',base64,/w==,\r\n'), text);
});

/** A part in a cell, where every quote is written twice. */
function cell(part: string): string {
  return `{""encoding"":""utf8"",""payload"":""${part}""}`;
}

test('the parts of a message of ZeroMQ are one cell', async () => {
  const text = (await rows('/v1/channels/parts/messages')).join('\n');
  assert.ok(text.includes(`,parts,"[${cell('t')},${cell('[1]')}]",`), text);
});

test('payloads that are JSON come as that where it is asked for, others as they are', async () => {
  const path = '/v1/channels/contents/messages?decode=json';
  const told = (await lines(path)).slice(0, -1);
  assert.deepEqual(told, (await page(path)).items);
  assert.deepEqual(
    told.map(({ encoding, payload }) => [encoding, payload]),
    [
      ['json', { a: [1, 2] }],
      ['json', null],
      ['utf8', '{"a":'],
      ['json', Infinity],
      ['utf8', ''],
      ['json', '\ufffd'],
      ['utf8', '\ufeff1'],
      ['base64', '/w=='],
    ],
  );
  assert.ok(told.every((line) => Value.Check(MessageItem, line)));
  const [{ parts }] = await lines('/v1/channels/parts/messages?decode=json');
  assert.deepEqual(parts, [
    { encoding: 'utf8', payload: 't' },
    { encoding: 'json', payload: [1] },
  ]);
});

test('numbers that JSON has and a program would round pass as they were written', async () => {
  const { text } = await api.get('/v1/channels/contents/messages?decode=json', NDJSON);
  assert.ok(text.includes('"payload":1e400}'), text);
});

test('a form without JSON refuses to decode', async () => {
  for (const accept of [CSV, SEGMENTS]) {
    assert.equal(await code(`${HOLES}?decode=json`, accept), 'BACKCAST_RANGE_INVALID');
  }
});

for (const question of [
  '',
  'order=desc',
  `session=${A}`,
  'from=2026-11-20T12:00:01Z',
  'archivedFrom=2026-11-20T12:00:15Z',
]) {
  test(`cursors lead through "${question}" as the next pages do`, async () => {
    const whole = (await lines(`${HOLES}?${question}`)).filter(({ kind }) => kind === 'message');
    const items: Line[] = [];
    let path = `${HOLES}?${question}&limit=2`;
    for (;;) {
      const answer = await page(path);
      items.push(...answer.items);
      if (answer['next'] === null) break;
      path = `${HOLES}?cursor=${String(answer['cursor'])}&limit=2`;
    }
    assert.deepEqual(items, whole);
  });
}

test('the cursor of an answer that had everything goes on with what comes later', async () => {
  const named = { name: 'growing', deliveries: [segment(1, [sent(A, 1, 0)])] };
  await api.addChannel(named);
  const end = (await lines('/v1/channels/growing/messages')).at(-1);
  const again = await page(`/v1/channels/growing/messages?cursor=${String(end?.['cursor'])}`);
  assert.deepEqual([again['status'], again.items], ['complete', []]);
});

test('a cursor is refused on another channel, and when a character of it is another', async () => {
  const { cursor } = await page(`${HOLES}?limit=1`);
  const text = String(cursor);
  assert.equal(await code(`/v1/channels/parts/messages?cursor=${text}`), 'BACKCAST_CURSOR_INVALID');
  for (const index of [0, 5, 20, text.length - 2]) {
    const other = text.slice(0, index) + (text[index] === 'A' ? 'B' : 'A') + text.slice(index + 1);
    assert.equal(await code(`${HOLES}?cursor=${other}`), 'BACKCAST_CURSOR_INVALID', other);
  }
  assert.equal(await code(`${HOLES}?cursor=${text}&after=1`), 'BACKCAST_RANGE_INVALID');
});

function archived(end: 'From' | 'To', seconds: string): string {
  return `archived${end}=2026-11-20T12:00:${seconds}Z`;
}

async function between(from: string, to: string): Promise<unknown[]> {
  const told = await lines(`${HOLES}?${archived('From', from)}&${archived('To', to)}`);
  return told.slice(0, -1).map((line) => line['position'] ?? line['kind']);
}

test('an interval of archive times is half-open, and has the losses declared in it', async () => {
  assert.deepEqual(await between('10', '20'), [1, 2]);
  assert.deepEqual(await between('10.000001', '20.000001'), [3]);
  assert.deepEqual(await between('06', '07'), ['loss']);
  assert.deepEqual(await between('07', '10'), []);
});

test('HEAD says what GET would, and sends nothing', async () => {
  for (const accept of ['application/json', NDJSON, CSV, SEGMENTS]) {
    const answer = await api.ask(`${HOLES}?after=2`, { method: 'HEAD', headers: { accept } });
    assert.deepEqual([answer.status, answer.text], [200, '']);
    assert.ok(answer.type.startsWith(accept), answer.type);
    assert.equal(answer.headers['backcast-remaining'], '3');
  }
  for (const path of ['/v1/channels', '/v1/channels/holes', '/v1/channels/holes/losses']) {
    const answer = await api.ask(path, { method: 'HEAD' });
    assert.deepEqual([answer.status, answer.text], [200, ''], path);
    assert.equal(answer.headers['etag'], (await api.get(path)).headers['etag']);
  }
  const gone = await api.ask('/v1/channels/none/messages', { method: 'HEAD' });
  assert.equal(gone.status, 404);
});

test('a page that has not changed is answered without it', async () => {
  const first = await api.get(HOLES);
  const tag = String(first.headers['etag']);
  const again = await api.ask(HOLES, { headers: { 'if-none-match': `"x", ${tag}` } });
  assert.deepEqual([again.status, again.text, again.headers['etag']], [304, '', tag]);
  const other = await api.ask(`${HOLES}?after=1`, { headers: { 'if-none-match': tag } });
  assert.equal(other.status, 200);
});

test('what is not archived yet says when asking again is worth it', async () => {
  const beyond = await page(`${HOLES}?after=6`);
  assert.deepEqual([beyond['status'], beyond['askAgainMs']], ['unsettled', 1_000]);
  assert.equal((await api.get(`${HOLES}?after=6`)).headers['retry-after'], '1');
  const soon = new Date(Date.now() + 60_000).toISOString();
  const future = await page(`${HOLES}?to=${soon}`);
  const waitMs = Number(future['askAgainMs']);
  assert.ok(waitMs > 50_000 && waitMs <= 61_000, String(waitMs));
});

test('a page says how many messages are behind it', async () => {
  assert.equal((await page(`${HOLES}?limit=2`))['remaining'], 3);
  assert.equal((await page(`${HOLES}?order=desc&limit=2`))['remaining'], 3);
  assert.equal((await page(`${HOLES}?session=${A}&first=1&last=8&limit=1`))['remaining'], 7);
});

test('an estimate comes with the first page where it is asked for', async () => {
  const told = await lines(`${HOLES}?estimate=true`);
  const estimates = told.filter(({ kind }) => kind === 'estimate');
  assert.equal(estimates.length, 1);
  assert.ok(Value.Check(EstimateItem, estimates[0]));
  assert.equal((await lines(HOLES)).filter(({ kind }) => kind === 'estimate').length, 0);
});
