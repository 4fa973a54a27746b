// The history over HTTP: each message once and byte for byte, also when connections break in the
// middle of answers, and what fails, told with its code.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { formatInstant, type SessionId } from '#base/mod.ts';
import {
  type ArchivedMessage,
  fetchRanges,
  history,
  type HistoryEntry,
  type HistoryOptions,
  openReplaySource,
} from '#client/mod.ts';
import { instantAt, segment, type SentMessage } from '#test/support/filled-archive.ts';
import {
  type ListeningApi,
  startBreakingRelay,
  startTestApi,
} from '#test/support/listening-api.ts';

const A = '00000000000000aa' as SessionId;
const B = '7bbbbbbbbbbbbbbb' as SessionId;
const UNHEARD = '0ccccccccccccccc' as SessionId;
const MANY = 3_000;
const NOT_UTF8 = Buffer.from([0xff, 0xfe]);

let api: ListeningApi;
before(async () => {
  api = await startTestApi();
  await api.addChannel({
    name: 'holes',
    deliveries: [
      segment(10, [sent(A, 1, 0), sent(B, 1, 1, NOT_UTF8), sent(A, 2, 2, Buffer.alloc(0))]),
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
    sessions: new Map([[B, { source: null, state: 'closed' }]]),
  });
  await api.addChannel({
    name: 'many',
    deliveries: Array.from({ length: MANY / 100 }, (_, index) =>
      segment(
        100 + index,
        Array.from({ length: 100 }, (_, at) => {
          const number = index * 100 + at + 1;
          return sent(A, number, number / 100, Buffer.from(`message ${number} `.repeat(9)));
        }),
      ),
    ),
  });
});
after(() => api[Symbol.asyncDispose]());

function sent(
  session: SessionId,
  sequence: number,
  seconds: number,
  payload: Buffer = Buffer.from(`${sequence}`),
): SentMessage {
  return { session, sequence, publishedAtUs: instantAt(seconds) + sequence, payload };
}

async function all<Entry>(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const collected: Entry[] = [];
  for await (const entry of entries) collected.push(entry);
  return collected;
}

function of(options: Partial<HistoryOptions> & { readonly channel: string }): HistoryOptions {
  return { url: api.url, ...options };
}

function messagesIn(entries: readonly { readonly kind: string }[]): ArchivedMessage[] {
  return entries.filter((entry): entry is ArchivedMessage => entry.kind === 'message');
}

async function positions(options: Partial<HistoryOptions>): Promise<number[]> {
  const entries = await all(history(of({ channel: 'holes', ...options })));
  return messagesIn(entries).map(({ position }) => position);
}

async function refused(options: HistoryOptions, code: string): Promise<void> {
  await assert.rejects(all(history(options)), { code });
}

test('a history has messages byte for byte, losses where they lie, and an end', async () => {
  const entries = await all(history(of({ channel: 'holes' })));
  const [first, binary, empty] = messagesIn(entries);
  assert.deepEqual(
    entries.map((entry) => ('position' in entry ? entry.position : entry.kind)),
    [1, 2, 3, 'loss', 4, 5, 'end'],
  );
  assert.deepEqual(Buffer.from(first?.payload ?? []), Buffer.from('1'));
  assert.deepEqual(Buffer.from(binary?.payload ?? []), NOT_UTF8);
  assert.equal(empty?.payload.length, 0);
  assert.deepEqual(
    [
      binary?.session,
      binary?.source,
      binary?.sequence,
      binary?.publishedAtUs,
      binary?.archivedAtUs,
    ],
    [B, null, 1, instantAt(1) + 1, instantAt(10)],
  );
  assert.partialDeepStrictEqual(entries[3], {
    kind: 'loss',
    session: A,
    first: 3,
    last: 7,
    cause: 'repair_expired',
  });
  assert.deepEqual(entries.at(-1), { kind: 'end', status: 'partial', archivedThrough: 5 });
});

test('a history is bounded by position, time, session, sequence and count', async () => {
  assert.deepEqual(await positions({ after: 3 }), [4, 5]);
  assert.deepEqual(
    await positions({ from: formatInstant(instantAt(2)), to: formatInstant(instantAt(7)) }),
    [3, 4],
  );
  assert.deepEqual(await positions({ session: B }), [2, 5]);
  assert.deepEqual(await positions({ session: A, first: 2, last: 8 }), [3, 4]);
  assert.deepEqual(await positions({ limit: 2 }), [1, 2]);
});

test('a history over connections that break has every message once, in order', async () => {
  let seed = 1;
  const nextCutBytes = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return 2_000 + (seed % 60_000);
  };
  await using relay = await startBreakingRelay(api.url, nextCutBytes);
  const entries = await all(history({ url: relay.url, channel: 'many' }));
  const messages = messagesIn(entries);
  assert.deepEqual(
    messages.map(({ sequence }) => sequence),
    Array.from({ length: MANY }, (_, index) => index + 1),
  );
  for (const { sequence, payload } of messages)
    assert.equal(Buffer.from(payload).toString(), `message ${sequence} `.repeat(9));
  assert.ok(relay.brokenCount() > 10);
  assert.deepEqual(entries.at(-1), { kind: 'end', status: 'complete', archivedThrough: MANY });
});

test('a loss is told once, however often the answer breaks behind it', async () => {
  let connections = 0;
  const nextCutBytes = (): number | undefined => (connections++ < 6 ? 1_250 : undefined);
  await using relay = await startBreakingRelay(api.url, nextCutBytes);
  const entries = await all(history({ url: relay.url, channel: 'holes' }));
  assert.equal(entries.filter(({ kind }) => kind === 'loss').length, 1);
  assert.deepEqual(
    messagesIn(entries).map(({ position }) => position),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual(entries.at(-1), { kind: 'end', status: 'partial', archivedThrough: 5 });
});

test('a range of a session is told in full wherever its answer breaks', async () => {
  const range = { channel: 'holes', session: A, first: 2, last: 8 };
  const whole = await all(history(of(range)));
  for (let cutBytes = 300; cutBytes < 1_200; cutBytes += 50) {
    let connections = 0;
    const nextCutBytes = (): number | undefined => (connections++ === 0 ? cutBytes : undefined);
    await using relay = await startBreakingRelay(api.url, nextCutBytes);
    const entries = await all(history({ ...range, url: relay.url }));
    assert.deepEqual(shown(entries), shown(whole), `broken after ${cutBytes} bytes`);
  }
});

test('what the API refuses for good is thrown at once, with its code', async () => {
  await refused(of({ channel: 'none' }), 'BACKCAST_CHANNEL_UNKNOWN');
  await refused(of({ channel: 'holes', session: UNHEARD }), 'BACKCAST_SESSION_UNKNOWN');
  await refused(
    of({ channel: 'holes', from: new Date(2), to: new Date(1) }),
    'BACKCAST_RANGE_INVERTED',
  );
});

test('an API that is away for longer than the patience is an error', async () => {
  const away = { url: 'http://127.0.0.1:1', channel: 'holes', patienceMs: 300 };
  await assert.rejects(all(history(away)), { code: 'BACKCAST_API_UNREACHABLE' });
});

test('a busy API is asked again when it says', async () => {
  let refusals = 0;
  const server = createServer((request, response) => {
    refusals += 1;
    const problem = { code: 'BACKCAST_BUSY', detail: 'Too many.', title: 'Busy.' };
    if (refusals === 1) {
      response.writeHead(503, { 'retry-after': '0' }).end(JSON.stringify(problem));
    } else response.writeHead(307, { location: api.url + request.url }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const entries = await all(history({ url: `http://127.0.0.1:${port}`, channel: 'holes' }));
  server.closeAllConnections();
  server.close();
  assert.equal(messagesIn(entries).length, 5);
  assert.equal(refusals, 2);
});

test('a token is shown with every question', async () => {
  const shown: unknown[] = [];
  const server = createServer((request, response) => {
    shown.push(request.headers.authorization);
    response.writeHead(404).end(JSON.stringify({ code: 'BACKCAST_CHANNEL_UNKNOWN', title: 'No.' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const asked = { url: `http://127.0.0.1:${port}/`, channel: 'holes', token: 'bc_x.y' };
  await refused(asked, 'BACKCAST_CHANNEL_UNKNOWN');
  server.closeAllConnections();
  server.close();
  assert.deepEqual(shown, ['Bearer bc_x.y']);
});

test('a signal ends a history with its reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const heard: HistoryEntry[] = [];
  await assert.rejects(async () => {
    for await (const entry of history(of({ channel: 'many', signal: stop.signal }))) {
      heard.push(entry);
      if (heard.length === 10) stop.abort(reason);
    }
  }, reason);
  assert.ok(heard.length < MANY);
});

test('of each sequence that is fetched, one thing is told', async () => {
  const ranges = [
    { session: A, first: 2, last: 4 },
    { session: B, first: 2, last: 9 },
    { session: UNHEARD, first: 1, last: 3 },
  ];
  const entries = await all(fetchRanges({ url: api.url, channel: 'holes', ranges }));
  const told = entries.map((entry) =>
    entry.kind === 'message'
      ? [entry.session, entry.sequence, entry.sequence, 'message']
      : [entry.session, entry.first, entry.last, entry.kind],
  );
  assert.deepEqual(told, [
    [A, 2, 2, 'message'],
    [A, 3, 4, 'loss'],
    [B, 2, 2, 'message'],
    [B, 3, 9, 'unknown'],
    [UNHEARD, 1, 3, 'unsettled'],
  ]);
});

test('a replay source reads on from a position and from an instant', async () => {
  const source = openReplaySource({ url: api.url }, 'many');
  const { signal } = new AbortController();
  for (const start of [{ afterPosition: 2_900 }, { publishedFromUs: instantAt(29.01) }]) {
    const entries = await all(source.open(start, signal));
    const runs = entries.filter((entry) => entry.kind === 'messages');
    assert.equal(
      runs.reduce((sum, { messageCount }) => sum + messageCount, 0),
      100,
    );
    assert.equal(runs[0]?.firstSequence, 2_901);
    assert.deepEqual(entries.at(-1), { kind: 'end', archivedThrough: MANY });
  }
});

test('where the archive stands is told of sessions that began lately', async () => {
  const names = ['1', '2', '3'].map((digit) => `000000000000030${digit}` as SessionId);
  const nowUs = Date.now() * 1_000;
  await api.addChannel({
    name: 'young',
    deliveries: names.map((session, index) => ({
      kind: 'segment',
      archivedAtUs: instantAt(index),
      messages: [
        { session, sequence: 1, publishedAtUs: instantAt(index), payload: Buffer.from('x') },
      ],
    })),
    sessions: new Map([
      [names[0], { openedAtUs: nowUs - 7_200_000_000, state: 'closed' }],
      [names[1], { openedAtUs: nowUs - 60_000_000, state: 'closed' }],
      [names[2], { openedAtUs: nowUs - 7_200_000_000, state: 'open' }],
    ]),
  });
  const source = openReplaySource({ url: api.url }, 'young');
  const { sessions } = await source.stand([], new AbortController().signal);
  const told = sessions.map(({ session }) => session).toSorted();
  assert.deepEqual(told, [names[1], names[2]]);
});

test('where the archive stands is told of open sessions and of those asked for', async () => {
  const source = openReplaySource({ url: api.url }, 'holes');
  const { signal } = new AbortController();
  const open = { session: A, source: 'source-00aa', watermark: 8, state: 'open' };
  const closed = { session: B, source: undefined, watermark: 2, state: 'closed' };
  assert.deepEqual(await source.stand([], signal), { archivedThrough: 5, sessions: [open] });
  const asked = await source.stand([B, UNHEARD], signal);
  const byName = asked.sessions.toSorted((one, other) => (one.session < other.session ? -1 : 1));
  assert.deepEqual(byName, [open, closed]);
});

/** `entries` but for what changes from one answer to the next. */
function shown(entries: readonly HistoryEntry[]): unknown[] {
  return entries.map((entry) => ({ ...entry, payload: undefined, archivedThrough: undefined }));
}
