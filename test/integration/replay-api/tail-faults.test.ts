// Tails whose connections break at random, whose database goes away, and whose readers take
// nothing: what was committed comes once and in order all the same.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import {
  type Appender,
  type ArchiveBatch,
  findChannel,
  listLosses,
  openDatabase,
} from '#archive/mod.ts';
import { seededRandom } from '#base/mod.ts';
import { type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import {
  batchOf,
  LOSS_PACKETS,
  makeChannel,
  messagesOf,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  testAppender,
} from '#test/support/archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { startSeverableRelay } from '#test/support/severable-relay.ts';
import { isLive, isMessageAt, openTail, type ReadFrame } from '#test/support/tail-reader.ts';
import { until } from '#test/support/until.ts';

const BOUNDS = { pollMs: 5, heartbeatMs: 5_000, ringBytesMax: 4 * 1_048_576 };
const PLACE = { host: '127.0.0.1', port: 0 };

/** Archives batches of one session: messages, losses before, between or behind them. */
class Writer {
  readonly #appender: Appender;
  readonly #place: { readonly channelId: number; readonly epoch: number };
  #head = 0;
  #sequence = 0;

  constructor(appender: Appender, place: { readonly channelId: number; readonly epoch: number }) {
    this.#appender = appender;
    this.#place = place;
  }

  get head(): number {
    return this.#head;
  }

  /** `counts`: so many messages, or if negative so many lost sequences. */
  async write(counts: readonly number[]): Promise<void> {
    const place = { ...this.#place, expectedHead: this.#head };
    const lists: ReturnType<typeof messagesOf>[] = [];
    const losses: ArchiveBatch['losses'][number][] = [];
    let afterPosition = this.#head;
    for (const count of counts) {
      const first = this.#sequence + 1;
      this.#sequence += Math.abs(count);
      if (count > 0) {
        lists.push(messagesOf(SESSION_A, first, count));
        afterPosition += count;
      } else {
        losses.push({
          session: SESSION_A,
          firstSequence: first,
          lastSequence: this.#sequence,
          cause: 'repair_expired',
          afterPosition,
          detectedAtUs: PUBLISHED_AT_US,
          ...LOSS_PACKETS,
        });
      }
    }
    const [session] = batchOf(place, messagesOf(SESSION_A, this.#sequence, 1)).sessions;
    const { segments } = batchOf(place, ...lists);
    const nothing = { heals: [], conflicts: [] };
    const batch = { ...place, segments, sessions: [session], losses, ...nothing };
    const result = await this.#appender.append(batch);
    assert.ok(result.outcome === 'committed');
    this.#head = result.head;
  }
}

interface Read {
  readonly positions: number[];
  readonly losses: Set<string>;
}

/** Reads the tail at `url` from its begin to `end`, hanging up at random on the way. */
async function readWithCuts(
  url: string,
  random: () => number,
  end: { readonly position: number },
): Promise<Read> {
  const read: Read = { positions: [], losses: new Set() };
  let lastId: string | undefined;
  let isOver = false;
  while (!isOver) {
    const untilCut = Math.ceil(random() * 60);
    await using tail = await openTail(url, lastId);
    const told = new Set<string>();
    for (let count = 0; count < untilCut && !isOver; count += 1) {
      const frame = await tail.next();
      note(frame, read, told);
      isOver = (read.positions.at(-1) ?? 0) >= end.position;
    }
    ({ lastId } = tail);
  }
  return read;
}

function note({ kind, body }: ReadFrame, read: Read, told: Set<string>): void {
  if (kind === 'message') read.positions.push(Number(body['position']));
  if (kind !== 'loss') return;
  const key = `${String(body['first'])}-${String(body['last'])}`;
  assert.ok(!told.has(key), `loss ${key} came twice on one connection`);
  told.add(key);
  assert.ok((read.positions.at(-1) ?? 0) >= Number(body['afterPosition']), `loss ${key} is early`);
  read.losses.add(key);
}

test('readers that are cut off at random get each position once, and every loss', async () => {
  await using created = await createTestDatabase();
  await using opened = openTestDatabase(created.url);
  const options = { database: opened, logger: silentLogger, ...PLACE };
  const small = { ...BOUNDS, ringBytesMax: 1_000 };
  await using crowded = await startReplayServer({ ...options, tailBounds: BOUNDS });
  await using forgetful = await startReplayServer({ ...options, tailBounds: small });
  // Between two connections of its only reader, nobody follows the channel there.
  await using lonely = await startReplayServer({ ...options, tailBounds: BOUNDS });
  await using appender = testAppender(created.url);
  const writer = new Writer(appender, await makeChannel(opened, 'orders'));
  const end = { position: Number.POSITIVE_INFINITY };
  const reading = Promise.all(
    [crowded, crowded, crowded, forgetful, forgetful, lonely].map(({ url }, index) => {
      const random = seededRandom(index);
      return readWithCuts(`${url}/v1/channels/orders/tail?after=0`, random, end);
    }),
  );
  reading.catch(() => undefined);
  const random = seededRandom(7);
  for (let batch = 0; batch < 40; batch += 1) {
    const counts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => {
      return random() < 0.4 ? -Math.ceil(random() * 3) : Math.ceil(random() * 30);
    });
    await writer.write(batch === 39 ? [...counts, -1, 5] : counts);
  }
  end.position = writer.head;
  const channel = await findChannel(opened.database, 'orders');
  const page = { session: undefined, after: undefined, limit: 10_000 };
  const declared = await listLosses(opened.database, channel, page);
  const positions = Array.from({ length: writer.head }, (_, index) => index + 1);
  for (const read of await reading) {
    assert.deepEqual(read.positions, positions);
    assert.deepEqual(read.losses, new Set(declared.map(({ first, last }) => `${first}-${last}`)));
  }
});

async function isAnswering(server: ReplayServer): Promise<boolean> {
  return (await fetch(`${server.url}/readyz`)).ok;
}

test('a tail outlives its database, and misses nothing that was committed meanwhile', async () => {
  await using created = await createTestDatabase();
  await using relay = await startSeverableRelay(created.url);
  await using opened = openTestDatabase(relay.url);
  await using direct = openTestDatabase(created.url);
  await using appender = testAppender(created.url);
  const writer = new Writer(appender, await makeChannel(direct, 'orders'));
  await writer.write([3]);
  const options = { database: opened, logger: silentLogger, ...PLACE };
  await using server = await startReplayServer({ ...options, tailBounds: BOUNDS });
  const url = `${server.url}/v1/channels/orders/tail`;
  await using tail = await openTail(url);
  await using behind = await openTail(`${url}?after=0`);
  await tail.through(isLive);
  await behind.through(isLive);
  relay.sever();
  for (const reader of [tail, behind]) {
    const frames = await reader.through(({ body }) => body['state'] === 'away');
    assert.equal(frames.at(-1)?.body['position'], 3);
  }
  assert.equal((await fetch(url)).status, 503);
  await writer.write([2, -1, 2]);
  relay.mend();
  await until('the database answers', () => isAnswering(server));
  for (const reader of [tail, behind]) {
    const frames = await reader.through(isMessageAt(7));
    assert.deepEqual(
      frames
        .filter(({ kind }) => kind === 'message' || kind === 'loss')
        .map(({ kind, body }) => (kind === 'loss' ? 'loss' : body['position'])),
      [4, 5, 'loss', 6, 7],
    );
  }
});

test('a tail that cannot begin goes on from where it said it is once it can', async () => {
  await using created = await createTestDatabase();
  await using direct = openTestDatabase(created.url);
  await using impatient = openDatabase({
    url: created.url,
    poolConnectionsMax: 4,
    applicationName: 'test',
    statementTimeoutMs: 300,
  });
  await using appender = testAppender(created.url);
  const writer = new Writer(appender, await makeChannel(direct, 'orders'));
  await writer.write([3]);
  const options = { database: impatient, logger: silentLogger, ...PLACE };
  await using server = await startReplayServer({ ...options, tailBounds: BOUNDS });
  const locking = await direct.pool.connect();
  await locking.query('BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE');
  await using tail = await openTail(`${server.url}/v1/channels/orders/tail`);
  await tail.through(({ body }) => body['state'] === 'away');
  assert.equal(tail.lastId, '3');
  await locking.query('COMMIT');
  locking.release();
  await writer.write([1]);
  const frames = await tail.through(isLive);
  const positions = frames.filter(({ kind }) => kind === 'message').map(({ id }) => id);
  assert.deepEqual(positions, ['4']);
});

test('a reader of a tail that takes nothing is cut off, and holds up nobody', async () => {
  await using created = await createTestDatabase();
  await using opened = openTestDatabase(created.url);
  await using appender = testAppender(created.url);
  const writer = new Writer(appender, await makeChannel(opened, 'orders'));
  await writer.write([1]);
  await using server = await startReplayServer({
    database: opened,
    logger: silentLogger,
    limits: { stallMsMax: 500 },
    tailBounds: { ...BOUNDS, heartbeatMs: 50 },
    ...PLACE,
  });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write('GET /v1/channels/orders/tail?after=0 HTTP/1.1\r\nHost: x\r\n\r\n');
  await using tail = await openTail(`${server.url}/v1/channels/orders/tail`);
  await tail.through(isLive);
  const gone = once(socket, 'close');
  for (let batch = 0; batch < 12; batch += 1) await writer.write([4_000]);
  await tail.through(isMessageAt(48_001));
  const readers = async (): Promise<boolean> => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return /^backcast_api_tail_readers 1$/m.test(metrics);
  };
  await until('the stalled reader is gone', readers);
  socket.resume();
  await gone;
});

test('readers that come back together share what they read of history', async () => {
  await using created = await createTestDatabase();
  await using opened = openTestDatabase(created.url);
  await using appender = testAppender(created.url);
  const writer = new Writer(appender, await makeChannel(opened, 'orders'));
  for (let batch = 0; batch < 8; batch += 1) await writer.write([4_000, -1]);
  const options = { database: opened, logger: silentLogger, ...PLACE, tailBounds: BOUNDS };
  const readsFor = async (readerCount: number): Promise<number> => {
    await using server = await startReplayServer(options);
    const url = `${server.url}/v1/channels/orders/tail?after=0`;
    const tails = await Promise.all(Array.from({ length: readerCount }, () => openTail(url)));
    const read = await Promise.all(tails.map((tail) => tail.through(isLive)));
    for (const frames of read) {
      assert.equal(frames.filter(({ kind }) => kind === 'message').length, 32_000);
      assert.equal(frames.filter(({ kind }) => kind === 'loss').length, 8);
    }
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    await Promise.all(tails.map((tail) => tail[Symbol.asyncDispose]()));
    return Number(/^backcast_api_sent_reads_total (\d+)$/m.exec(metrics)?.[1]);
  };
  const [ofOne, ofTen] = [await readsFor(1), await readsFor(10)];
  // Each for himself they would cost ten times as much; each looks where the channel ends.
  assert.ok(ofTen <= 3 * ofOne, `${ofTen} reads of ten, ${ofOne} of one`);
  assert.ok(ofOne > 8, `${ofOne} reads were counted`);
});
