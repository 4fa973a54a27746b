// Reading from a server that follows: it is used while it is near enough, never believed to know
// more than it does, and left for the primary when it is away or far behind.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { type OpenDatabase, type Replica, watchReplica } from '#archive/mod.ts';
import { createReplayApi } from '#replay-api/mod.ts';
import {
  archiveMessages,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
} from '#test/support/archive.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { type ReplicatedServer, startReplicatedServer } from '#test/support/replicated-server.ts';
import { isLive, isMessageAt, openTail } from '#test/support/tail-reader.ts';
import { until } from '#test/support/until.ts';

const BEHIND_MS_MAX = 600_000;
/** More than what a connection takes and the server has read ahead. */
const BATCHES = 12;
const BATCH_MESSAGES = 250;
const PAYLOAD_BYTES = 8_192;

let server: ReplicatedServer;
before(async () => {
  server = await startReplicatedServer();
});
after(() => server[Symbol.asyncDispose]());

interface Stage extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly primary: OpenDatabase;
  readonly replica: Replica;
  /** Archives more messages on `channel`, through `last`. */
  archive(channel: string, last: number): Promise<void>;
  /** What a reader of `channel` is told. */
  read(channel: string): Promise<Answer>;
}

interface Answer {
  readonly statusCode: number;
  readonly archivedThrough: number;
  readonly status: string;
  readonly count: number;
}

async function openStage(behindMsMax: number = BEHIND_MS_MAX): Promise<Stage> {
  await using resources = new AsyncDisposableStack();
  const primary = resources.use(openTestDatabase(server.url));
  const log = { info: () => undefined, warn: () => undefined };
  const opened = openTestDatabase(server.replicaUrl);
  const replica = resources.use(watchReplica({ primary, replica: opened, behindMsMax, log }));
  const app = await createReplayApi({ database: primary, replica, logger: silentLogger });
  resources.defer(async () => {
    const closed = app.close();
    app.server.closeAllConnections();
    await closed;
  });
  const owned = resources.move();
  const places = new Map<string, { channelId: number; epoch: number; expectedHead: number }>();
  return {
    app,
    primary,
    replica,
    archive: async (channel, last) => {
      const place = places.get(channel) ?? {
        ...(await makeChannel(primary, channel)),
        expectedHead: 0,
      };
      const count = last - place.expectedHead;
      const messages = messagesOf(SESSION_A, place.expectedHead + 1, count);
      await archiveMessages(server.url, place, messages);
      places.set(channel, { ...place, expectedHead: last });
    },
    read: async (channel) => {
      const answer = await app.inject(`/v1/channels/${channel}/messages?limit=1000`);
      const page = answer.json<{ archivedThrough: number; status: string; items: unknown[] }>();
      const { archivedThrough, status, items } = page;
      return { statusCode: answer.statusCode, archivedThrough, status, count: items?.length ?? 0 };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Until the replica has all that is archived now. */
async function caughtUp({ replica }: Stage): Promise<void> {
  // A look that was under way may have been at an earlier moment.
  await replica.check();
  await until('the replica has caught up', async () => {
    await replica.check();
    return replica.isUsable && replica.behindMs === 0;
  });
}

/** Statements that the primary was sent while `work` ran, but for those of the watching. */
async function readsOfPrimary({ primary }: Stage, work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const counted = (): void => {
    count += 1;
  };
  primary.pool.on('acquire', counted);
  await work();
  primary.pool.off('acquire', counted);
  return count;
}

test('history is read from the replica, and the primary is left alone', async () => {
  await using stage = await openStage();
  await stage.archive('plain', 3);
  await caughtUp(stage);
  const reads = await readsOfPrimary(stage, async () => {
    assert.deepEqual(await stage.read('plain'), {
      statusCode: 200,
      archivedThrough: 3,
      status: 'complete',
      count: 3,
    });
  });
  assert.ok(reads <= 1, `${reads} statements on the primary`);
});

test('a replica that is held back answers for what it has, and says how far that is', async () => {
  await using stage = await openStage();
  await stage.archive('held', 3);
  await caughtUp(stage);
  await server.hold();
  try {
    await stage.archive('held', 8);
    await stage.replica.check();
    assert.ok(stage.replica.behindMs > 0 && stage.replica.isUsable);
    const held = { statusCode: 200, archivedThrough: 3, status: 'complete', count: 3 };
    assert.deepEqual(await stage.read('held'), held);
    const beyond = await stage.app.inject('/v1/channels/held/messages?after=5');
    assert.equal(beyond.json<{ status: string }>().status, 'unsettled');
    await stage.archive('new', 2);
    assert.equal(
      (await stage.read('new')).count,
      2,
      'what it has never heard of, the primary knows',
    );
  } finally {
    await server.release();
  }
  await caughtUp(stage);
  assert.equal((await stage.read('held')).count, 8);
});

test('a replica too far behind is left for the primary, and taken again', async () => {
  await using stage = await openStage(50);
  await stage.archive('far', 3);
  await caughtUp(stage);
  await server.hold();
  try {
    await stage.archive('far', 8);
    await stage.replica.check();
    await until('it counts as far behind', () => !stage.replica.isUsable);
    assert.equal((await stage.read('far')).count, 8);
  } finally {
    await server.release();
  }
  await caughtUp(stage);
});

test('a replica that goes is not missed, and one that comes back is used again', async () => {
  await using stage = await openStage();
  await stage.archive('going', 3);
  await caughtUp(stage);
  await server.stopReplica();
  const answers = await Promise.all([stage.read('going'), stage.read('going')]);
  for (const { statusCode, count } of answers) assert.deepEqual([statusCode, count], [200, 3]);
  assert.ok(!stage.replica.isUsable);
  await server.startReplica();
  await caughtUp(stage);
});

test('what is known of a channel is read from the replica too', async () => {
  await using stage = await openStage();
  await stage.archive('listed', 3);
  await caughtUp(stage);
  const reads = await readsOfPrimary(stage, async () => {
    for (const what of ['', '/sessions', '/losses', '/deletions', '/conflicts']) {
      const answer = await stage.app.inject(`/v1/channels/listed${what}`);
      assert.equal(answer.statusCode, 200, what);
    }
    const { items } = (await stage.app.inject('/v1/channels')).json<{ items: unknown[] }>();
    assert.ok(items.length > 0);
  });
  // Whether what is archived may be forgotten is asked of who is written to, and so is its log.
  assert.ok(reads <= 3, `${reads} statements on the primary`);
  const unknown = await stage.app.inject('/v1/channels/nowhere/losses');
  assert.equal(unknown.statusCode, 404);
});

test('an answer that the replica began is ended by the primary when the replica goes', async () => {
  await using stage = await openStage();
  const place = { ...(await makeChannel(stage.primary, 'long')), expectedHead: 0 };
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const messages = messagesOf(SESSION_A, place.expectedHead + 1, BATCH_MESSAGES).map((one) => {
      return { ...one, payload: Buffer.alloc(PAYLOAD_BYTES, 'x') };
    });
    place.expectedHead = await archiveMessages(server.url, place, messages);
  }
  await caughtUp(stage);
  const url = await stage.app.listen({ host: '127.0.0.1', port: 0 });
  const headers = { accept: 'application/x-ndjson', 'accept-encoding': 'identity' };
  const answers = [
    `${url}/v1/channels/long/messages`,
    `${url}/v1/channels/long/messages?session=${SESSION_A}`,
    `${url}/v1/channels/long/export?format=ndjson`,
  ].map((address) => fetch(address, { headers }));
  const bodies = (await Promise.all(answers)).map(({ body }) => body);
  await server.stopReplica();
  try {
    for (const body of bodies) {
      const lines = Buffer.concat(await Array.fromAsync(body ?? []))
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      const end = lines.pop();
      assert.deepEqual([end?.['kind'], end?.['status']], ['end', 'complete']);
      const sequences = lines.map((line) => line['sequence']);
      assert.deepEqual(
        sequences,
        Array.from(lines, (_line, index) => index + 1),
      );
      assert.equal(lines.length, BATCHES * BATCH_MESSAGES);
    }
  } finally {
    await server.startReplica();
  }
  await caughtUp(stage);
});

test('a tail goes through history on the replica, and on where that ends', async () => {
  await using stage = await openStage();
  for (const last of [3_000, 6_000, 9_000]) await stage.archive('tailed', last);
  await caughtUp(stage);
  const url = await stage.app.listen({ host: '127.0.0.1', port: 0 });
  const tailOf = (after: number) => openTail(`${url}/v1/channels/tailed/tail?after=${after}`);
  let reads = 0;
  stage.replica.opened.pool.on('acquire', () => {
    reads += 1;
  });
  await using followed = await tailOf(0);
  await followed.through(isLive);
  const readsOfHistory = reads;
  await server.hold();
  try {
    await stage.archive('tailed', 9_500);
    await using behind = await tailOf(0);
    await using near = await tailOf(9_400);
    await using ahead = await tailOf(9_500);
    for (const [tail, first] of [[behind, 1] as const, [near, 9_401] as const]) {
      const frames = await tail.through(isMessageAt(9_500));
      const positions = frames.filter(({ kind }) => kind === 'message');
      assert.equal(positions.length, 9_500 - first + 1);
      assert.ok(!frames.some(({ body }) => body['state'] === 'rewound'));
    }
    const frames = await ahead.through(isLive);
    assert.ok(!frames.some(({ body }) => body['state'] === 'rewound'));
  } finally {
    await server.release();
  }
  assert.ok(readsOfHistory > 1, `${readsOfHistory} statements on the replica`);
});

test('a server that follows nobody is not read from', async () => {
  await using primary = openTestDatabase(server.url);
  const log = { info: () => undefined, warn: () => undefined };
  const replica = openTestDatabase(server.url);
  await using watched = watchReplica({ primary, replica, behindMsMax: BEHIND_MS_MAX, log });
  await watched.check();
  assert.ok(!watched.isUsable);
});

test('while the primary is away, the replica goes on serving history', async () => {
  await using stage = await openStage();
  await stage.archive('last', 3);
  await caughtUp(stage);
  await server.stopPrimary();
  await stage.replica.check();
  const answer = await stage.read('last');
  assert.deepEqual([answer.statusCode, answer.count], [200, 3]);
});
