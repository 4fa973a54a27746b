// What an archiver records, from when, until when: stops and restarts, channels that come later,
// publishers that go without a word, and datagrams that mean nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { sql } from 'kysely';
import { audit } from '#archive/mod.ts';
import { type ChannelAddress, seededRandom } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Archiver } from '#ingest/mod.ts';
import { openSendSocket } from '#multicast/udp/mod.ts';
import { keptLog, type Scene, setScene } from '#test/support/archiving.ts';
import { startBackcast } from '#test/support/cli.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

test('a stop commits what was heard, however young, and gives the lease back', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver({ batchAgeMs: 60_000 });
  await using publisher = await scene.openPublisher({ lingerMs: 0 });
  await publishMany(publisher, 100);
  await until('all is heard', () => receiverOf(archiver, scene)?.messagesDelivered === 100);
  assert.equal(await headOf(scene), 0);
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [100, 0]);
  const { holder } = await scene.database
    .selectFrom('leases')
    .select('holder')
    .executeTakeFirstOrThrow();
  assert.equal(holder, null);
});

test('stopping twice is stopping, and recording does not wait for ever', async () => {
  await using scene = await setScene();
  const archiver = await scene.startArchiver({ channels: ['*'] });
  const waiting = assert.rejects(archiver.recording('never-heard-of'), /was stopped/);
  await assert.doesNotReject(
    Promise.all([archiver.recording('orders'), archiver.recording('orders')]),
  );
  await Promise.all([archiver.stop(), archiver.stop()]);
  await waiting;
  await archiver.stop();
  const { rows } = await sql<{ application_name: string }>`
    SELECT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE '%archiver%'`.execute(
    scene.database,
  );
  assert.deepEqual(rows, []);
});

test('a restart goes on behind the watermark, also while the publisher lingers', async () => {
  await using scene = await setScene();
  const first = await scene.startArchiver();
  const publisher = await scene.openPublisher({ lingerMs: 3_000 });
  await publishMany(publisher, 50);
  await scene.accounted(50);
  await first.stop();
  await publishMany(publisher, 50);
  const closed = publisher.close();
  const second = await scene.startArchiver();
  await scene.accounted(100);
  await until('the end is known', async () => (await stateOf(scene)) === 'closed');
  await second.stop();
  const log = keptLog();
  await using third = await scene.startArchiver({ log });
  await until('its last words are heard', () => (receiverOf(third, scene)?.late ?? 0) > 0);
  await third.stop();
  assert.equal(log.messages.includes('session heard'), false);
  const verdict = await scene.audited();
  assert.deepEqual([verdict.sessionCount, verdict.storedCount, verdict.lostCount], [1, 100, 0]);
  await closed;
});

test('a channel that comes later is recorded from its first message', async () => {
  await using scene = await setScene();
  await using late = await reserveGroup();
  await using strange = await reserveGroup();
  const known = new Map<string, ChannelAddress>();
  const log = keptLog();
  await using archiver = await scene.startArchiver({
    channels: ['orders', 'orders.*'],
    registry: { list: () => Promise.resolve(new Map([...known, ['orders', scene.address]])) },
    discoverEveryMs: 20,
    log,
  });
  const address: ChannelAddress = { ...late, dport: 7_500, framing: 'native' };
  await using publisher = await scene.openPublisher({ address, lingerMs: 0 });
  await publishMany(publisher, 10);
  await until('they are on their way', () => publisher.counters.packetsSent > 0);
  known.set('orders.eu', address);
  known.set('trades', { ...strange, dport: 7_500, framing: 'native' });
  await archiver.recording('orders.eu');
  await publishMany(publisher, 10);
  await until('all is archived', async () => (await headOf(scene, 'orders.eu')) === 20);
  const verdicts = await audit(scene.database);
  assert.deepEqual(
    verdicts.map(({ channel, storedCount, lostCount }) => [channel, storedCount, lostCount]),
    [
      ['orders', 0, 0],
      ['orders.eu', 20, 0],
    ],
  );
  await assert.rejects(archiver.recording('trades'), { code: 'BACKCAST_CONFIG_INVALID' });
});

test('a channel that moves is recorded where it was and where it is, by one archiver', async () => {
  await using scene = await setScene();
  await using other = await reserveGroup();
  const moved: ChannelAddress = { ...other, dport: 7_500, framing: 'native' };
  let address = scene.address;
  const log = keptLog();
  await using archiver = await scene.startArchiver({
    registry: { list: () => Promise.resolve(new Map([[scene.channel, address]])) },
    discoverEveryMs: 20,
    acknowledge: ['*'],
    log,
  });
  await using before = await scene.openPublisher();
  await publishMany(before, 100);
  address = { ...moved, framing: 'raw' };
  await until('it is refused', () => log.messages.includes('channel is not heard where it is now'));
  address = moved;
  await using behind = await scene.openPublisher({ address: moved });
  await publishMany(behind, 100);
  await until('it has moved', () => log.messages.includes('channel has moved'));
  await publishMany(before, 100);
  await publishMany(behind, 100);
  const durable = { until: 'archived', timeoutMs: 20_000 } as const;
  await Promise.all(
    [before, behind].map((publisher) => publisher.publish(Buffer.alloc(10), durable)),
  );
  address = scene.address;
  await using back = await scene.openPublisher();
  await until(
    'it is back',
    () => log.messages.filter((it) => it === 'channel has moved').length > 1,
  );
  await Promise.all([before, behind, back].map((it) => it.publish(Buffer.alloc(10), durable)));
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.sessionCount, verdict.storedCount, verdict.lostCount], [3, 405, 0]);
});

test('several channels are spread over two threads, and each is whole', async () => {
  await using scene = await setScene();
  await using resources = new AsyncDisposableStack();
  const names = ['a', 'b', 'c', 'd'];
  const addresses = new Map<string, ChannelAddress>();
  for (const name of names) {
    const group = resources.use(await reserveGroup());
    addresses.set(name, { ...group, dport: 7_500, framing: 'native' });
  }
  addresses.set(scene.channel, scene.address);
  const archiver = resources.use(
    await scene.startArchiver({
      channels: ['*'],
      registry: { list: () => Promise.resolve(addresses) },
      shardCount: 2,
      faults: 'receive-loss=0.02,seed=3',
    }),
  );
  for (const name of names) await archiver.recording(name);
  const publishers = await Promise.all(
    names.map((name) => scene.openPublisher({ address: addresses.get(name) ?? scene.address })),
  );
  for (const publisher of publishers) resources.use(publisher);
  await Promise.all(publishers.map((publisher) => publishMany(publisher, 500)));
  for (const name of names) {
    await until(`${name} is whole`, async () => (await headOf(scene, name)) === 500);
  }
  for (const { storedCount, lostCount, problems, channel } of await audit(scene.database)) {
    const expected = channel === scene.channel ? 0 : 500;
    assert.deepEqual([storedCount, lostCount, problems], [expected, 0, []]);
  }
  await until('several connections commit', async () => (await committerCount(scene)) >= 2);
});

test('a publisher that goes without a word is expired, and what it published stays', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver({ sourceExpiryMs: 700 });
  const { group, port, dport } = scene.address;
  const place = ['--group', `${group}:${port}`, '--dport', String(dport)];
  const publisher = startBackcast(['publish', scene.channel, ...place]);
  publisher.stdin.write('one\ntwo\n');
  await scene.accounted(2);
  publisher.kill('SIGKILL');
  await once(publisher, 'close');
  await until('it is given up', async () => (await stateOf(scene)) === 'expired');
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [2, 0]);
});

test('datagrams that mean nothing are counted, and change nothing else', async () => {
  await using scene = await setScene();
  const log = keptLog();
  await using archiver = await scene.startArchiver({ log });
  await using socket = await openSendSocket({
    interfaceAddress: LOOPBACK,
    ttl: 0,
    sendBufferBytes: 1_048_576,
  });
  await using publisher = await scene.openPublisher({ lingerMs: 0 });
  const random = seededRandom(11);
  const { group, port } = scene.address;
  for (let index = 0; index < 500; index += 1) {
    const bytes = Uint8Array.from({ length: index % 90 }, () => Math.floor(random() * 256));
    socket.send(bytes, group, port);
    if (index % 50 === 0) await publishMany(publisher, 1);
  }
  await scene.accounted(10);
  await until('all garbage is counted', () => receiverOf(archiver, scene)?.malformed === 500);
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.sessionCount, verdict.storedCount, verdict.lostCount], [1, 10, 0]);
  const sessionLines = log.messages.filter((message) => message.startsWith('session'));
  assert.deepEqual(sessionLines, ['session heard']);
});

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    await publisher.publish(Buffer.alloc(200, number & 0xff));
    if (number % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

type Receiver = Archiver['counters'][string]['receiver'];

function receiverOf(archiver: Archiver, { channel }: Scene): Receiver | undefined {
  return archiver.counters[channel]?.receiver;
}

async function headOf(scene: Scene, channel = scene.channel): Promise<number> {
  const lease = await scene.database
    .selectFrom('leases')
    .innerJoin('channels', 'channels.channel_id', 'leases.channel_id')
    .where('channels.name', '=', channel)
    .select('head')
    .executeTakeFirst();
  return lease?.head ?? 0;
}

/** Connections of the archiver that have committed batches: one per thread. */
async function committerCount(scene: Scene): Promise<number> {
  const { rows } = await sql`
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'COMMIT%'
      AND application_name = 'backcast archiver test-archiver'`.execute(scene.database);
  return rows.length;
}

async function stateOf(scene: Scene): Promise<string> {
  const { state } = await scene.database
    .selectFrom('sessions')
    .select('state')
    .executeTakeFirstOrThrow();
  return state;
}
