// Messages come back byte for byte, in JSON pages and in NDJSON alike, with losses where they lie.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Value } from 'typebox/value';
import type { SessionId } from '#base/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import { EndItem, LossItem, MessageItem } from '#replay-api/mod.ts';
import { instantAt, segment, sent } from '#test/support/filled-archive.ts';
import { bytesOf, linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';

const NDJSON = 'application/x-ndjson';
const A = '00000000000000aa' as SessionId;
const B = '7bbbbbbbbbbbbbbb' as SessionId;
const MEBIBYTE = 1_048_576;
const PLAIN = Buffer.from('plain');

const PAYLOADS: readonly Buffer[] = [
  Buffer.from(''),
  Buffer.from('plain'),
  Buffer.from('{"quoted":"\\"\\n\\u0000"}'),
  Buffer.from([0]),
  Buffer.from([0xef, 0xbb, 0xbf]),
  Buffer.from('\ufeffafter a byte order mark'),
  Buffer.from('\ufffd is a character of its own'),
  Buffer.from([0xff, 0xfe, 0xfd]),
  Buffer.from('🛰️').subarray(0, 3),
  Buffer.from('line\u2028separator\r\n'),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.alloc(MEBIBYTE, 'm'),
  Buffer.alloc(MEBIBYTE, 0xfe),
];

let api: TestApi;
before(async () => {
  api = await openTestApi();
  await api.addChannel({
    name: 'bytes',
    deliveries: [
      segment(
        1,
        PAYLOADS.map((one, i) => sent(A, i + 1, i, one)),
      ),
    ],
  });
  await api.addChannel({
    name: 'holes',
    deliveries: [
      segment(10, [sent(A, 1, 0), sent(B, 1, 1)]),
      segment(10, [sent(A, 2, 2)]),
      {
        kind: 'loss',
        session: A,
        first: 3,
        last: 7,
        cause: 'repair_expired',
        detectedAtUs: instantAt(5),
      },
      segment(11, [sent(A, 8, 6), sent(B, 2, 7)]),
    ],
    sessions: new Map([[B, { source: null }]]),
  });
  const frames = [zmqMessage([Buffer.from('topic'), Buffer.from([0xff])]), zmqMessage([PLAIN])];
  await api.addChannel({
    name: 'parts',
    framing: 'zmq',
    deliveries: [
      segment(
        1,
        frames.map((frame, index) => sent(A, index + 1, index, Buffer.from(frame))),
      ),
    ],
  });
});
after(() => api[Symbol.asyncDispose]());

interface Page {
  readonly items: Record<string, unknown>[];
  readonly losses: Record<string, unknown>[];
  readonly next: string | null;
  readonly status: string;
  readonly archivedThrough: number;
}

async function page(path: string): Promise<Page> {
  const answer = await api.get(path);
  assert.equal(answer.status, 200, answer.text);
  const link = answer.headers['link'];
  const body = JSON.parse(answer.text) as Page;
  assert.equal(link, body.next === null ? undefined : `<${body.next}>; rel="next"`);
  return body;
}

async function chain(path: string): Promise<Page[]> {
  const pages: Page[] = [];
  for (let next: string | null = path; next !== null; next = pages[pages.length - 1].next) {
    pages.push(await page(next));
  }
  return pages;
}

async function lines(path: string): Promise<Record<string, unknown>[]> {
  const answer = await api.get(path, NDJSON);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.type, NDJSON);
  return linesOf(answer.text);
}

test('every payload comes back byte for byte in NDJSON', async () => {
  const items = (await lines('/v1/channels/bytes/messages')).slice(0, -1);
  assert.deepEqual(items.map(bytesOf), PAYLOADS);
});

test('every payload comes back byte for byte in JSON pages', async () => {
  const pages = await chain('/v1/channels/bytes/messages?limit=2');
  assert.deepEqual(pages.flatMap((one) => one.items).map(bytesOf), PAYLOADS);
});

test('a payload is text exactly if its bytes are UTF-8', async () => {
  const items = (await lines('/v1/channels/bytes/messages')).slice(0, -1);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const isText = PAYLOADS.map((payload) => {
    try {
      return decoder.decode(payload) !== undefined;
    } catch {
      return false;
    }
  });
  assert.deepEqual(
    items.map((message) => message['encoding'] === 'utf8'),
    isText,
  );
});

test('a message of ZeroMQ comes as its parts, also if it has one', async () => {
  const paged = await chain('/v1/channels/parts/messages?limit=1');
  const streamed = (await lines('/v1/channels/parts/messages')).slice(0, -1);
  const items = paged.flatMap((one) => one.items);
  assert.deepEqual(items, streamed);
  assert.deepEqual(
    items.map(({ parts, payload, encoding }) => [parts, payload, encoding]),
    [
      [
        [
          { encoding: 'utf8', payload: 'topic' },
          { encoding: 'base64', payload: '/w==' },
        ],
        undefined,
        undefined,
      ],
      [[{ encoding: 'utf8', payload: 'plain' }], undefined, undefined],
    ],
  );
  assert.ok(items.every((message) => Value.Check(MessageItem, message)));
});

test('an answer in JSON stops before it gets too large, and goes on in the next', async () => {
  const many = Array.from({ length: 20 }, (_, index) =>
    sent(A, index + 1, index, Buffer.alloc(MEBIBYTE)),
  );
  await api.addChannel({ name: 'large', deliveries: many.map((one) => segment(1, [one])) });
  const pages = await chain('/v1/channels/large/messages?limit=10000');
  assert.ok(pages.length > 1);
  assert.equal(pages.flatMap((one) => one.items).length, 20);
});

for (const order of ['asc', 'desc']) {
  test(`pages of any size and the stream give the same messages and losses, ${order}`, async () => {
    const path = `/v1/channels/holes/messages?order=${order}`;
    const streamed = (await lines(path)).slice(0, -1);
    for (const limit of [1, 2, 3, 100]) {
      const pages = await chain(`${path}&limit=${limit}`);
      const messages = streamed.filter((line) => line['kind'] === 'message');
      assert.deepEqual(
        pages.flatMap((one) => one.items),
        messages,
      );
      const losses = streamed.filter((line) => line['kind'] === 'loss');
      assert.deepEqual(
        pages.flatMap((one) => one.losses),
        losses,
      );
    }
  });
}

test('every line is the JSON that anybody would write', async () => {
  for (const channel of ['holes', 'bytes']) {
    const { text } = await api.get(`/v1/channels/${channel}/messages`, NDJSON);
    for (const line of text.trimEnd().split('\n')) {
      assert.ok(JSON.stringify(JSON.parse(line)) === line, line.slice(0, 300));
    }
  }
});

test('every line is as the contract says', async () => {
  const shapes = { message: MessageItem, loss: LossItem, end: EndItem };
  for (const line of await lines('/v1/channels/holes/messages')) {
    const shape = shapes[line['kind'] as keyof typeof shapes];
    assert.deepEqual([...Value.Errors(shape, line)], []);
  }
});

test('a message says who sent it, when, and where it stands', async () => {
  const [first, second] = (await page('/v1/channels/holes/messages')).items;
  assert.deepEqual(first, {
    kind: 'message',
    position: 1,
    session: A,
    source: 'source-00aa',
    sequence: 1,
    publishedAt: '2026-11-20T12:00:00.000000Z',
    archivedAt: '2026-11-20T12:00:10.000000Z',
    encoding: 'utf8',
    payload: `${A}/1`,
  });
  assert.equal(second['source'], null);
});

test('a loss stands between the messages where it lies', async () => {
  const kinds = (await lines('/v1/channels/holes/messages')).map((line) => line['kind']);
  assert.deepEqual(kinds, ['message', 'message', 'message', 'loss', 'message', 'message', 'end']);
});

test('the end says that something is missing, and how far the archive is', async () => {
  const end = (await lines('/v1/channels/holes/messages')).at(-1);
  const places = { lastPosition: 5, archivedThrough: 5, cursor: end?.['cursor'] };
  const told = { kind: 'end', complete: false, status: 'partial', count: 5, ...places };
  assert.deepEqual(end, { ...told, next: null, askAgainMs: null });
});

test('a page without the loss is complete', async () => {
  assert.equal((await page('/v1/channels/holes/messages?before=3')).status, 'complete');
  assert.equal((await page('/v1/channels/holes/messages?before=4')).status, 'partial');
  assert.equal((await page('/v1/channels/holes/messages?after=4')).status, 'complete');
});

test('a stream that stops at its limit says where it goes on', async () => {
  const end = (await lines('/v1/channels/holes/messages?limit=2')).at(-1);
  assert.deepEqual(end?.['count'], 2);
  assert.deepEqual(end?.['next'], '/v1/channels/holes/messages?after=2&limit=2');
});

test('what the archive has not reached is unsettled, not empty', async () => {
  const beyond = await page('/v1/channels/holes/messages?after=6');
  assert.deepEqual([beyond.status, beyond.items, beyond.next], ['unsettled', [], null]);
  const range = await page(`/v1/channels/holes/messages?session=${A}&first=8&last=9`);
  assert.deepEqual([range.status, range.items.length], ['unsettled', 1]);
});

test('behind the last position an answer is complete and empty', async () => {
  const behind = await page('/v1/channels/holes/messages?after=5');
  assert.deepEqual([behind.status, behind.items, behind.next], ['complete', [], null]);
});

function between(from: string, to: string): string {
  return `/v1/channels/holes/messages?from=2026-11-20T12:00:0${from}&to=2026-11-20T12:00:0${to}`;
}

async function positions(from: string, to: string): Promise<unknown[]> {
  return (await page(between(from, to))).items.map((message) => message['position']);
}

test('an interval of publish times is half-open, to the microsecond', async () => {
  assert.deepEqual(await positions('0Z', '2Z'), [1, 2]);
  assert.deepEqual(await positions('0.000001Z', '2.000001Z'), [2, 3]);
  assert.deepEqual(await positions('1Z', '1Z'), []);
  assert.deepEqual(await positions('1-00:00', '1.0000019-00:00'), [2]);
});

test('an interval in which messages may have been lost is not complete', async () => {
  const lost = await page(between('3Z', '4Z'));
  assert.deepEqual([lost.status, lost.items.length, lost.losses.length], ['partial', 0, 1]);
  const whole = await page(between('0Z', '2Z'));
  assert.deepEqual([whole.status, whole.items.length], ['complete', 2]);
});

test('an interval that reaches into the future is unsettled', async () => {
  assert.equal(
    (await page('/v1/channels/holes/messages?to=9999-01-01T00:00:00Z')).status,
    'unsettled',
  );
});

function text(seconds: number): string {
  return new Date(instantAt(seconds) / 1_000).toISOString();
}

function until(seconds: number): string {
  return `/v1/channels/silent/messages?to=${text(seconds)}`;
}

test('an interval after an open session was last heard of is unsettled', async () => {
  await api.addChannel({
    name: 'silent',
    deliveries: [segment(10, [sent(A, 1, 0)])],
    sessions: new Map([[A, { seenAtUs: instantAt(60) }]]),
  });
  assert.equal((await page(until(60))).status, 'complete');
  assert.equal((await page(until(61))).status, 'unsettled');
});

test('a session is read by sequence, and its losses are cut to the range', async () => {
  const range = await page(`/v1/channels/holes/messages?session=${A}&first=2&last=5`);
  assert.deepEqual(
    range.items.map((message) => message['sequence']),
    [2],
  );
  assert.deepEqual(
    range.losses.map(({ first, last }) => [first, last]),
    [[3, 5]],
  );
  assert.equal(range.status, 'partial');
});

test('an outage of the archiver is missing from every session that published in it', async () => {
  const lostFrom = { kind: 'loss' as const, cause: 'repair_expired' as const };
  await api.addChannel({
    name: 'outage',
    deliveries: [
      segment(10, [sent(A, 1, 10)]),
      { ...lostFrom, session: A, first: 2, last: 50, detectedAtUs: instantAt(7_200) },
      segment(7_200, [sent(A, 51, 7_199)]),
      segment(7_201, [sent(A, 52, 7_200)]),
      { ...lostFrom, session: B, first: 1, last: 9, detectedAtUs: instantAt(7_202) },
      segment(7_203, [sent(B, 10, 7_201)]),
    ],
    sessions: new Map([[B, { openedAtUs: instantAt(7_201), seenAtUs: instantAt(9_000) }]]),
  });
  const during = await page(`/v1/channels/outage/messages?from=${text(3_600)}&to=${text(3_700)}`);
  assert.deepEqual([during.status, during.items.length], ['partial', 0]);
  assert.deepEqual(
    during.losses.map((loss) => loss['session']),
    [A, B],
  );
});

test('a session that began later does not make earlier hours partial', async () => {
  await api.addChannel({
    name: 'later',
    deliveries: [
      segment(10, [sent(A, 1, 10)]),
      segment(600, [sent(A, 2, 600)]),
      segment(3_600, [sent(A, 3, 3_600)]),
      {
        kind: 'loss',
        session: B,
        first: 1,
        last: 9,
        cause: 'late_join',
        detectedAtUs: instantAt(3_601),
      },
      segment(3_602, [sent(B, 10, 3_602)]),
    ],
    sessions: new Map([
      [A, { seenAtUs: instantAt(9_000) }],
      [B, { openedAtUs: instantAt(3_601), seenAtUs: instantAt(9_000) }],
    ]),
  });
  const earlier = await page(`/v1/channels/later/messages?from=${text(0)}&to=${text(60)}`);
  assert.deepEqual([earlier.status, earlier.items.length], ['complete', 1]);
  const whole = await page(`/v1/channels/later/messages?from=${text(0)}&to=${text(3_605)}`);
  assert.deepEqual([whole.status, whole.items.length], ['partial', 4]);
});

test('a channel without messages gives a complete and empty answer', async () => {
  await api.addChannel({ name: 'empty', deliveries: [] });
  const [{ cursor, ...end }, ...others] = await lines('/v1/channels/empty/messages');
  assert.deepEqual([typeof cursor, others], ['string', []]);
  const nothing = { complete: true, status: 'complete', count: 0, lastPosition: null };
  assert.deepEqual(end, {
    kind: 'end',
    ...nothing,
    archivedThrough: 0,
    next: null,
    askAgainMs: null,
  });
});
