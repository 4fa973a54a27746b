// Channels, sessions, losses, completeness, and where to begin.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type SessionId, sessionToBigInt } from '#base/mod.ts';
import { type Delivery, instantAt, sent, type SentMessage } from '#test/support/filled-archive.ts';
import { openTestApi, type TestApi } from '#test/support/replay-api.ts';

const SESSIONS = ['0000000000000001', '0000000000000002', '7fffffffffffffff'] as SessionId[];
const [EARLY, , LATE] = SESSIONS;

let api: TestApi;
before(async () => {
  api = await openTestApi();
  for (const name of ['b', 'A', 'a.b', 'a-b', 'a_b']) {
    await api.addChannel({ name, deliveries: [] });
  }
  await api.addChannel({
    name: 'orders',
    deliveries: [
      ...SESSIONS.map((session, index) => segment(sent(session, 1, index))),
      loss(EARLY, 2, 5),
      loss(EARLY, 6, 6),
      loss(LATE, 2, 2),
      segment(sent(LATE, 3, 10)),
    ],
    sessions: new Map(
      SESSIONS.map((session, index) => [session, { openedAtUs: instantAt(index), lead: 9 }]),
    ),
  });
});
after(() => api[Symbol.asyncDispose]());

function segment(message: SentMessage): Delivery {
  return { kind: 'segment', archivedAtUs: message.publishedAtUs, messages: [message] };
}

function loss(session: SessionId, first: number, last: number): Delivery {
  return { kind: 'loss', session, first, last, cause: 'late_join', detectedAtUs: instantAt(5) };
}

interface Listed {
  readonly items: Record<string, unknown>[];
  readonly next: string | null;
}

async function ask<Body>(path: string): Promise<Body> {
  const answer = await api.get(path);
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as Body;
}

async function walk(path: string): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  for (let next: string | null = path; next !== null; ) {
    const page: Listed = await ask<Listed>(next);
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

test('channels are listed by name, whatever the page', async () => {
  const names = ['A', 'a-b', 'a.b', 'a_b', 'b', 'orders'];
  for (const limit of [1, 2, 100]) {
    const channels = await walk(`/v1/channels?limit=${limit}`);
    assert.deepEqual(
      channels.map((channel) => channel['channel']),
      names,
    );
  }
});

test('a channel says how far it is archived', async () => {
  const { createdAt, ...channel } = await ask<Record<string, unknown>>('/v1/channels/orders');
  assert.match(String(createdAt), /^\d{4}-.*\.\d{6}Z$/);
  assert.deepEqual(channel, {
    channel: 'orders',
    group: '239.255.0.1',
    port: 7500,
    dport: 7500,
    framing: 'native',
    archivedThrough: 4,
    durability: 'durable',
    firstPosition: 1,
    firstAvailable: 1,
    publishedFrom: '2026-11-20T12:00:00.000000Z',
    publishedThrough: '2026-11-20T12:00:10.000000Z',
    archivers: [],
  });
});

test('a channel without messages has no bounds', async () => {
  const channel = await ask<Record<string, unknown>>('/v1/channels/b');
  assert.deepEqual([channel['archivedThrough'], channel['firstPosition']], [0, null]);
});

test('sessions are listed latest first, whatever the page', async () => {
  for (const limit of [1, 2, 100]) {
    const sessions = await walk(`/v1/channels/orders/sessions?limit=${limit}`);
    assert.deepEqual(
      sessions.map((one) => one['session']),
      SESSIONS.toReversed(),
    );
  }
});

test('sessions are listed by their state, whatever the page, and one by its name', async () => {
  const names = SESSIONS.map((_, index) => `000000000000010${index}` as SessionId);
  const states = ['closed', 'open', 'open'] as const;
  await api.addChannel({
    name: 'states',
    deliveries: names.map((name, index) => segment(sent(name, 1, index))),
    sessions: new Map(
      names.map((name, index) => [name, { openedAtUs: instantAt(index), state: states[index] }]),
    ),
  });
  const path = '/v1/channels/states/sessions';
  const named = async (query: string): Promise<unknown[]> =>
    (await walk(`${path}?${query}`)).map((one) => one['session']);
  for (const limit of [1, 2]) {
    assert.deepEqual(await named(`state=open&limit=${limit}`), [names[2], names[1]]);
    assert.deepEqual(await named(`state=closed&limit=${limit}`), [names[0]]);
  }
  assert.deepEqual(await named('state=expired'), []);
  assert.deepEqual(await named(`session=${names[1]}`), [names[1]]);
  assert.deepEqual(await named(`session=${names[1]}&state=closed`), []);
  assert.deepEqual(await named(`session=${LATE}`), []);
});

test('a session says what the archive accounts for', async () => {
  const [session] = await walk('/v1/channels/orders/sessions?limit=1');
  assert.deepEqual(session, {
    session: LATE,
    source: 'source-ffff',
    tsi: '010203040506:7500',
    isForeign: false,
    state: 'open',
    tail: 'open',
    firstArchived: 1,
    watermark: 3,
    lead: 9,
    openedAt: '2026-11-20T12:00:02.000000Z',
    seenAt: '2026-11-20T13:00:00.000000Z',
    closedAt: null,
  });
});

test('losses are listed in the order of the channel, also those of one session', async () => {
  for (const limit of [1, 2, 100]) {
    const losses = await walk(`/v1/channels/orders/losses?limit=${limit}`);
    const shown = losses.map((one) => [one['session'], one['first'], one['last']]);
    assert.deepEqual(shown, [
      [EARLY, 2, 5],
      [EARLY, 6, 6],
      [LATE, 2, 2],
    ]);
    const own = await walk(`/v1/channels/orders/losses?session=${EARLY}&limit=${limit}`);
    assert.equal(own.length, 2);
  }
});

test('a healed loss stays in the list and leaves the messages', async () => {
  await api.addChannel({
    name: 'healed',
    deliveries: [segment(sent(EARLY, 1, 0)), loss(EARLY, 2, 2)],
  });
  const db = api.opened.database;
  await db
    .updateTable('losses')
    .set({ healed_at: '2026-11-20T13:00:00Z', healed_position: 1, healed_by: 'standby' })
    .where('channel_id', '=', (eb) =>
      eb.selectFrom('channels').select('channel_id').where('name', '=', 'healed'),
    )
    .execute();
  const [listed] = await walk('/v1/channels/healed/losses');
  assert.deepEqual(
    [listed['healedAt'], listed['healedBy']],
    ['2026-11-20T13:00:00.000000Z', 'standby'],
  );
  const page = await ask<{ losses: unknown[] }>('/v1/channels/healed/messages');
  assert.deepEqual(page.losses, []);
});

test('conflicts are listed as they were noticed, also those of one session', async () => {
  const channelId = await api.addChannel({
    name: 'doubted',
    deliveries: [segment(sent(EARLY, 1, 0)), segment(sent(LATE, 1, 0))],
  });
  const noticed = [
    { session: EARLY, first: 1, at: '2026-11-20T13:00:00.000001Z', hash: Buffer.alloc(32, 1) },
    { session: LATE, first: 1, at: '2026-11-20T13:00:00.000002Z', hash: null },
    { session: EARLY, first: 2, at: '2026-11-20T13:00:00.000003Z', hash: null },
  ];
  for (const { session, first, at, hash } of noticed) {
    await api.opened.database
      .insertInto('conflicts')
      .values({
        channel_id: channelId,
        session_id: sessionToBigInt(session),
        first_sequence: first,
        last_sequence: first + 1,
        detected_at: at,
        archiver: 'test',
        evidence: 'packet 7 came again with other content',
        stored_sha256: hash,
        heard_sha256: null,
      })
      .execute();
  }
  for (const limit of [1, 2, 100]) {
    const listed = await walk(`/v1/channels/doubted/conflicts?limit=${limit}`);
    assert.deepEqual(
      listed.map((one) => [one['session'], one['first'], one['last']]),
      [
        [EARLY, 1, 2],
        [LATE, 1, 2],
        [EARLY, 2, 3],
      ],
    );
    assert.deepEqual(listed[0], {
      session: EARLY,
      source: listed[0]['source'],
      first: 1,
      last: 2,
      detectedAt: '2026-11-20T13:00:00.000001Z',
      archiver: 'test',
      evidence: 'packet 7 came again with other content',
      storedSha256: '01'.repeat(32),
      heardSha256: null,
    });
    const own = await walk(`/v1/channels/doubted/conflicts?session=${EARLY}&limit=${limit}`);
    assert.equal(own.length, 2);
  }
});

interface Completeness {
  readonly status: string;
  readonly lost: unknown[];
  readonly storedCount: number;
  readonly lostCount: number;
  readonly unsettledFrom: number | null;
  readonly unknownFrom: number | null;
  readonly tail: string;
  readonly first: number;
  readonly last: number;
}

function completeness(session: SessionId, range: string): Promise<Completeness> {
  return ask(`/v1/channels/orders/completeness?session=${session}${range}`);
}

test('a range that is stored is complete', async () => {
  const found = await completeness(LATE, '&first=3&last=3');
  assert.deepEqual([found.status, found.storedCount, found.lost], ['complete', 1, []]);
});

test('a range with losses is partial, with exactly what is missing of it', async () => {
  const found = await completeness(EARLY, '&first=1&last=4');
  assert.equal(found.status, 'partial');
  assert.deepEqual(found.lost, [{ first: 2, last: 4, packets: null, cause: 'late_join' }]);
  assert.deepEqual([found.storedCount, found.lostCount, found.unsettledFrom], [1, 3, null]);
});

test('a range beyond the watermark is unsettled from there', async () => {
  const found = await completeness(LATE, '&first=2&last=5');
  assert.deepEqual([found.status, found.unsettledFrom], ['unsettled', 4]);
  assert.deepEqual([found.storedCount, found.lostCount], [1, 1]);
  const beyond = await completeness(LATE, '&first=7&last=8');
  assert.deepEqual([beyond.status, beyond.unsettledFrom, beyond.storedCount], ['unsettled', 7, 0]);
});

test('behind the end of a session is nothing, and behind a silence nobody knows what', async () => {
  for (const [name, state, tail, status] of [
    ['ended', 'closed', 'complete', 'complete'],
    ['silent', 'expired', 'unknown', 'unknown'],
    ['going', 'open', 'open', 'unsettled'],
  ] as const) {
    const sessions = new Map([[EARLY, { state }]]);
    await api.addChannel({ name, deliveries: [segment(sent(EARLY, 1, 0))], sessions });
    const [session] = await walk(`/v1/channels/${name}/sessions`);
    assert.equal(session['tail'], tail);
    const path = `/v1/channels/${name}/completeness?session=${EARLY}`;
    const known = await ask<Completeness>(`${path}&last=1`);
    assert.deepEqual([known.status, known.unknownFrom, known.tail], ['complete', null, tail]);
    const beyond = await ask<Completeness>(`${path}&last=4`);
    const from = [beyond.unsettledFrom, beyond.unknownFrom];
    assert.deepEqual([beyond.status, beyond.storedCount], [status, 1]);
    const expected = { complete: [null, null], unknown: [null, 2], unsettled: [2, null] };
    assert.deepEqual(from, expected[status]);
    const page = `/v1/channels/${name}/messages?session=${EARLY}&last=4`;
    assert.equal((await ask<Completeness>(page)).status, status);
  }
});

test('what is missing of a silent session is unsettled until it is accounted for', async () => {
  const sessions = new Map([[EARLY, { state: 'expired', lead: 3 } as const]]);
  await api.addChannel({ name: 'missing', deliveries: [segment(sent(EARLY, 1, 0))], sessions });
  const path = `/v1/channels/missing/completeness?session=${EARLY}`;
  const found = await ask<Completeness>(path);
  assert.deepEqual([found.last, found.status, found.unsettledFrom], [3, 'unsettled', 2]);
});

test('without bounds, the question is about all that is known to exist', async () => {
  const found = await completeness(LATE, '');
  assert.deepEqual([found.first, found.last, found.status], [1, 9, 'unsettled']);
});

test('what was published before the archive heard a session is missing from it', async () => {
  await api.addChannel({ name: 'joined', deliveries: [segment(sent(EARLY, 8, 0))] });
  const path = `/v1/channels/joined/completeness?session=${EARLY}&first=5&last=8`;
  const found = await ask<Completeness>(path);
  assert.deepEqual(found.lost, [{ first: 5, last: 7, packets: null, cause: 'late_join' }]);
  const read = await ask<{ status: string; losses: unknown[] }>(
    `/v1/channels/joined/messages?session=${EARLY}&first=5&last=8`,
  );
  assert.deepEqual([read.status, read.losses.length], ['partial', 1]);
});

test('of a foreign source, numbers are exact and what is lost counts in packets', async () => {
  const sqn = 2 ** 33 - 1;
  const start = sqn * 65_536;
  const first = { ...sent(EARLY, start + 3, 0), throughSequence: start + 65_535 };
  const last = { ...sent(EARLY, start + 4 * 65_536, 9), throughSequence: start + 5 * 65_536 - 1 };
  await api.addChannel({
    name: 'quotes',
    framing: 'zmq',
    deliveries: [
      segment(first),
      {
        kind: 'loss',
        session: EARLY,
        first: start + 65_536,
        last: start + 4 * 65_536 - 1,
        cause: 'repair_expired',
        detectedAtUs: instantAt(5),
        sqns: { first: sqn, next: sqn + 4 },
        packetCount: 3,
      },
      segment(last),
    ],
    sessions: new Map([[EARLY, { isForeign: true, source: null }]]),
  });
  const [session] = await walk('/v1/channels/quotes/sessions');
  assert.deepEqual(
    [session['isForeign'], session['source'], session['firstArchived'], session['watermark']],
    [true, null, start + 3, start + 5 * 65_536 - 1],
  );
  const [listed] = await walk('/v1/channels/quotes/losses');
  assert.deepEqual([listed['packets'], listed['sqns']], [3, { first: 2 ** 32 - 1, last: 2 }]);
  const found = await ask<Completeness>(`/v1/channels/quotes/completeness?session=${EARLY}`);
  const { status, storedCount, lostCount, unsettledFrom } = found;
  assert.deepEqual([status, storedCount, lostCount, unsettledFrom], ['partial', null, 3, null]);
  const path = `/v1/channels/quotes/messages?session=${EARLY}&limit=1`;
  const page = await ask<{ items: { sequence: number }[]; next: string }>(path);
  assert.deepEqual([page.items.length, page.items[0]?.sequence], [1, start + 3]);
  const rest = await ask<{ losses: { packets: number }[]; items: { sequence: number }[] }>(
    page.next,
  );
  assert.deepEqual([rest.losses[0]?.packets, rest.items[0]?.sequence], [3, start + 4 * 65_536]);
});

test('the index leads everywhere', async () => {
  const index = await ask<Record<string, string>>('/');
  for (const name of ['channels', 'openapi', 'health', 'readiness']) {
    assert.equal((await api.get(index[name])).status, 200, name);
  }
});

test('readiness tells how far the archive is behind', async () => {
  const ready = await ask<{ status: string; archive: Record<string, number> }>('/readyz');
  assert.equal(ready.status, 'ready');
  assert.equal(ready.archive['messagesOutstanding'], 3 + 8 + 6);
});
