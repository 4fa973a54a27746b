// The tail of a channel over real connections: everything once and in order, whoever reads how
// fast, and nothing before it is committed.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { after, before, test } from 'node:test';
import { openDatabase, type OpenDatabase } from '#archive/mod.ts';
import type { ArchiveBatch } from '#archive/mod.ts';
import { createReplayApi, type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import {
  batchOf,
  LOSS_PACKETS,
  makeChannel,
  messagesOf,
  openTestDatabase,
  progressOf,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import { createTestDatabase, execute, type TestDatabase } from '#test/support/postgres.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { isLive, isMessageAt, openTail, type ReadFrame } from '#test/support/tail-reader.ts';
import { until } from '#test/support/until.ts';

const BOUNDS = { pollMs: 10, heartbeatMs: 5_000, ringBytesMax: 4 * 1_048_576 };

let created: TestDatabase;
let opened: OpenDatabase;
let server: ReplayServer;
before(async () => {
  created = await createTestDatabase();
  opened = openTestDatabase(created.url);
  server = await startServer();
});
after(async () => {
  await server.close();
  await opened.close();
  await created[Symbol.asyncDispose]();
});

function startServer(bounds: Partial<typeof BOUNDS> = {}): Promise<ReplayServer> {
  const tailBounds = { ...BOUNDS, ...bounds };
  const place = { host: '127.0.0.1', port: 0 };
  return startReplayServer({ database: opened, logger: silentLogger, tailBounds, ...place });
}

/** A channel that is written batch by batch. */
class WrittenChannel {
  readonly name: string;
  readonly #place: { readonly channelId: number; readonly epoch: number };
  head = 0;

  constructor(name: string, place: { readonly channelId: number; readonly epoch: number }) {
    this.name = name;
    this.#place = place;
  }

  static async make(name: string): Promise<WrittenChannel> {
    return new WrittenChannel(name, await makeChannel(opened, name));
  }

  get channelId(): number {
    return this.#place.channelId;
  }

  url(query = ''): string {
    return `${server.url}/v1/channels/${this.name}/tail${query}`;
  }

  /** Archives `count` messages of `session` from `first` on. */
  async write(session: typeof SESSION_A, first: number, count: number): Promise<void> {
    const place = { ...this.#place, expectedHead: this.head };
    await this.append(batchOf(place, messagesOf(session, first, count)));
  }

  async append(given: Partial<ArchiveBatch>): Promise<void> {
    await using appender = testAppender(created.url);
    const nothing = { segments: [], sessions: [], losses: [], heals: [], conflicts: [] };
    const batch = { ...this.#place, expectedHead: this.head, ...nothing, ...given };
    const result = await appender.append(batch);
    assert.ok(result.outcome === 'committed');
    this.head = result.head;
  }

  /** Declares sequences of `session` lost at the end of what is archived. */
  async lose(session: typeof SESSION_A, first: number, last: number): Promise<void> {
    const [progress] = progressOf(messagesOf(session, last, 1));
    await this.append({
      sessions: [progress],
      losses: [
        {
          session,
          firstSequence: first,
          lastSequence: last,
          cause: 'repair_expired',
          afterPosition: this.head,
          detectedAtUs: PUBLISHED_AT_US,
          ...LOSS_PACKETS,
        },
      ],
    });
  }
}

/** What the frames say, in short: M1 is the message at position 1, L5-7 a loss, S a session. */
function shortly(frames: readonly ReadFrame[]): string {
  return frames
    .map(({ kind, body }) => {
      if (kind === 'message') return `M${String(body['position'])}`;
      if (kind === 'loss') return `L${String(body['first'])}-${String(body['last'])}`;
      return kind === 'session' || kind === 'state' ? String(body['state']) : kind;
    })
    .join(' ');
}

test('a tail begins with what comes next, and sends messages as they are archived', async () => {
  const channel = await WrittenChannel.make('next');
  await channel.write(SESSION_A, 1, 3);
  await using tail = await openTail(channel.url());
  assert.equal(tail.response.headers.get('content-type'), 'text/event-stream');
  assert.equal(shortly(await tail.through(({ kind }) => kind === 'session')), 'live open');
  await channel.write(SESSION_A, 4, 2);
  const frames = await tail.through(isMessageAt(5));
  assert.equal(shortly(frames), 'M4 M5');
  assert.equal(tail.lastId, '5');
  const [{ body }] = frames;
  assert.deepEqual(body, {
    kind: 'message',
    position: 4,
    session: SESSION_A,
    source: `source of ${SESSION_A}`,
    sequence: 4,
    publishedAt: body['publishedAt'],
    archivedAt: body['archivedAt'],
    encoding: 'utf8',
    payload: `${SESSION_A}/4`,
  });
});

test('with after, a tail goes through history and on, each position once', async () => {
  const channel = await WrittenChannel.make('history');
  await channel.write(SESSION_A, 1, 5);
  await using tail = await openTail(channel.url('?after=2'));
  assert.equal(shortly(await tail.through(isLive)), 'replaying M3 M4 M5 live');
  await channel.write(SESSION_A, 6, 1);
  assert.equal(shortly(await tail.through(isMessageAt(6))), 'open M6');
});

test('a reader that connects again by the id of its last message misses nothing', async () => {
  const channel = await WrittenChannel.make('again');
  await channel.write(SESSION_A, 1, 2);
  let lastId = '';
  {
    await using tail = await openTail(channel.url());
    await tail.through(isLive);
    lastId = tail.lastId;
  }
  assert.equal(lastId, '2');
  await channel.write(SESSION_A, 3, 2);
  await using tail = await openTail(channel.url('?after=0'), lastId);
  assert.equal(shortly(await tail.through(isLive)), 'replaying M3 M4 live');
});

test('a loss comes where it lies, also one that is declared without a message', async () => {
  const channel = await WrittenChannel.make('lossy');
  await channel.write(SESSION_A, 1, 2);
  await using tail = await openTail(channel.url());
  await tail.through(isLive);
  await channel.lose(SESSION_A, 3, 5);
  assert.equal(shortly(await tail.through(({ kind }) => kind === 'loss')), 'open L3-5');
  await channel.lose(SESSION_A, 6, 6);
  await channel.write(SESSION_A, 7, 1);
  assert.equal(shortly(await tail.through(isMessageAt(3))), 'L6-6 M3');
  await using again = await openTail(channel.url(), '2');
  assert.equal(shortly(await again.through(isLive)), 'replaying L3-5 L6-6 M3 live');
});

test('losses where one joins are told once, and not to who begins behind them', async () => {
  const channel = await WrittenChannel.make('edge');
  await channel.write(SESSION_A, 1, 1);
  await channel.lose(SESSION_A, 2, 2);
  await using joined = await openTail(channel.url('?after=1'));
  assert.equal(shortly(await joined.through(isLive)), 'L2-2 live');
  await using begun = await openTail(channel.url());
  await begun.through(isLive);
  await channel.lose(SESSION_A, 3, 3);
  await channel.write(SESSION_A, 4, 1);
  assert.equal(shortly(await joined.through(isMessageAt(2))), 'open L3-3 M2');
  assert.equal(shortly(await begun.through(isMessageAt(2))), 'open L3-3 M2');
});

test('a session is told when it begins and, behind its last message, when it ends', async () => {
  const channel = await WrittenChannel.make('sessions');
  await channel.write(SESSION_A, 1, 1);
  await using tail = await openTail(channel.url());
  await tail.through(isLive);
  await channel.write(SESSION_B, 1, 1);
  const begun = await tail.through(isMessageAt(2));
  assert.equal(shortly(begun), 'open open M2');
  assert.deepEqual(begun[1].body, {
    kind: 'session',
    session: SESSION_B,
    source: `source of ${SESSION_B}`,
    state: 'open',
  });
  const batch = batchOf(
    { channelId: channel.channelId, epoch: 1, expectedHead: channel.head },
    messagesOf(SESSION_B, 2, 2),
  );
  const sessions = batch.sessions.map((one) => ({ ...one, state: 'closed' as const }));
  await channel.append({ ...batch, sessions });
  const ended = await tail.through(({ body }) => body['state'] === 'closed');
  assert.equal(shortly(ended), 'M3 M4 closed');
});

async function pagesShared(): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^backcast_api_tail_shared_pages_total (\d+)$/m.exec(text)?.[1]);
}

test('many readers of one channel cost the database no more than one', async () => {
  const channel = await WrittenChannel.make('shared');
  await channel.write(SESSION_A, 1, 1);
  const tails = await Promise.all(Array.from({ length: 40 }, () => openTail(channel.url())));
  await Promise.all(tails.map((tail) => tail.through(isLive)));
  const pagesBefore = await pagesShared();
  for (let round = 0; round < 5; round += 1) {
    await channel.write(SESSION_A, 2 + round, 1);
    const read = await Promise.all(tails.map((tail) => tail.through(isMessageAt(2 + round))));
    for (const frames of read) assert.equal(shortly(frames).replace('open ', ''), `M${2 + round}`);
  }
  assert.equal((await pagesShared()) - pagesBefore, 5);
  await Promise.all(tails.map((tail) => tail[Symbol.asyncDispose]()));
});

test('a reader that is too slow goes back to history and gets every message', async () => {
  await using small = await startServer({ ringBytesMax: 1 });
  const channel = await WrittenChannel.make('slow');
  await channel.write(SESSION_A, 1, 1);
  await using tail = await openTail(`${small.url}/v1/channels/slow/tail`);
  await tail.through(isLive);
  for (let round = 0; round < 20; round += 1) await channel.write(SESSION_A, 2 + 500 * round, 500);
  const frames = await tail.through(isMessageAt(10_001));
  const positions = frames
    .filter(({ kind }) => kind === 'message')
    .map(({ body }) => body['position']);
  assert.deepEqual(
    positions,
    Array.from({ length: 10_000 }, (_, index) => index + 2),
  );
});

test('what is not committed is not told', async () => {
  const channel = await WrittenChannel.make('uncommitted');
  await channel.write(SESSION_A, 1, 1);
  await using tail = await openTail(channel.url());
  await tail.through(isLive);
  const other = openDatabase({
    url: created.url,
    poolConnectionsMax: 1,
    applicationName: 'test',
    statementTimeoutMs: 10_000,
  });
  const connection = await other.pool.connect();
  await connection.query('BEGIN');
  await connection.query('UPDATE leases SET head = 9, commits = 9 WHERE channel_id = $1', [
    channel.channelId,
  ]);
  await using second = await openTail(channel.url('?after=1'));
  assert.equal(shortly(await second.through(isLive)), 'live');
  await connection.query('ROLLBACK');
  connection.release();
  await other.close();
  await channel.write(SESSION_A, 2, 1);
  assert.equal(shortly(await second.through(isMessageAt(2))), 'open M2');
  assert.equal(shortly(await tail.through(isMessageAt(2))), 'open M2');
});

test('when the archive goes back, readers are told so and go on from there', async () => {
  const channel = await WrittenChannel.make('rewound');
  await channel.write(SESSION_A, 1, 5);
  await using tail = await openTail(channel.url());
  await tail.through(isLive);
  await execute(
    created.url,
    `UPDATE leases SET head = 3 WHERE channel_id = ${channel.channelId};
     DELETE FROM segments WHERE channel_id = ${channel.channelId}`,
  );
  channel.head = 3;
  const frames = await tail.through(({ body }) => body['state'] === 'rewound');
  assert.deepEqual([frames.at(-1)?.body['position'], tail.lastId], [3, '3']);
  await using ahead = await openTail(channel.url('?after=9'));
  assert.equal(shortly(await ahead.through(isLive)), 'rewound live');
});

test('a silent tail shows that it lives', async () => {
  await using lively = await startServer({ heartbeatMs: 20 });
  const channel = await WrittenChannel.make('silent');
  await channel.write(SESSION_A, 1, 1);
  await using tail = await openTail(`${lively.url}/v1/channels/silent/tail`);
  await tail.through(isLive);
  const reading = tail.through(({ kind }) => kind === 'loss');
  await until('three heartbeats', () => tail.commentCount >= 3);
  await channel.lose(SESSION_A, 2, 2);
  assert.equal(shortly(await reading), 'open L2-2');
});

test('a server that closes says goodbye to its tails', async () => {
  const closing = await startServer();
  const channel = await WrittenChannel.make('closing');
  await channel.write(SESSION_A, 1, 1);
  await using tail = await openTail(`${closing.url}/v1/channels/closing/tail`);
  await tail.through(isLive);
  const [frames] = await Promise.all([tail.through(({ kind }) => kind === 'end'), closing.close()]);
  assert.deepEqual([frames.at(-1)?.body['position'], frames.at(-1)?.body['code']], [1, null]);
});

test('a server that closes while it replays names the last message that it sent', async () => {
  const closing = await startServer();
  const channel = await WrittenChannel.make('cut');
  const payload = Buffer.alloc(262_144, 'x');
  const place = { channelId: channel.channelId, epoch: 1, expectedHead: 0 };
  const large = messagesOf(SESSION_A, 1, 160).map((message) => [{ ...message, payload }]);
  await channel.append(batchOf(place, ...large));
  await using tail = await openTail(`${closing.url}/v1/channels/cut/tail?after=0`);
  const first = await tail.through(isMessageAt(1));
  const closed = closing.close();
  const isClosing = (): Promise<boolean> =>
    fetch(closing.url).then(
      ({ ok }) => !ok,
      () => true,
    );
  await until('it takes no more requests', isClosing);
  const rest = await tail.through(({ kind }) => kind === 'end');
  await closed;
  const positions = [...first, ...rest]
    .filter(({ kind }) => kind === 'message')
    .map(({ body }) => Number(body['position']));
  const sent = positions.at(-1) ?? 0;
  assert.ok(sent < 160, 'the server closed before it had sent everything');
  assert.deepEqual([rest.at(-1)?.body['position'], tail.lastId], [sent, `${sent}`]);
});

test('a reader that knows more than the last look is not told that the archive went back', async () => {
  const channel = await WrittenChannel.make('known');
  await using slow = await startServer({ pollMs: 60_000 });
  const url = `${slow.url}/v1/channels/${channel.name}/tail`;
  await using early = await openTail(url);
  await early.through(isLive);
  await channel.write(SESSION_A, 1, 3);
  await using late = await openTail(`${url}?after=3`);
  const states = await late.through(isLive);
  assert.deepEqual(
    states.map(({ body }) => [body['state'], body['position']]),
    [['live', 3]],
  );
  await early.through(isMessageAt(3));
});

test('few listen to a response, however many have to do with it', async () => {
  const channel = await WrittenChannel.make('heard');
  await using app = await createReplayApi({ database: opened, logger: silentLogger });
  const asked = new Promise<EventEmitter>((resolve) => {
    app.server.once('request', (_request, response: EventEmitter) => resolve(response));
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  await using tail = await openTail(`${url}/v1/channels/${channel.name}/tail`);
  await tail.through(isLive);
  const response = await asked;
  const counts = response.eventNames().map((name) => response.listenerCount(name));
  assert.ok(Math.max(...counts) < EventEmitter.defaultMaxListeners, counts.join());
});

function listenersOf({ pool }: OpenDatabase): number[] {
  return pool.eventNames().map((name) => pool.listenerCount(name));
}

test('an API that is closed leaves nobody listening to the pool', async () => {
  const before = listenersOf(opened);
  await using other = await startServer();
  assert.notDeepEqual(listenersOf(opened), before);
  await other.close();
  assert.deepEqual(listenersOf(opened), before);
});
