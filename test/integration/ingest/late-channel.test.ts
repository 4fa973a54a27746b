// A channel that nobody knew when the archiver started, with the registry in a real Redis: from the
// first publisher's question for an address to the first message in the archive.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { audit } from '#archive/mod.ts';
import { openRedisRegistry } from '#registry/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { startRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

const DISCOVER_EVERY_MS = 200;
const MESSAGES = 200;
const CHANNELS = ['late.first', 'late.second', 'late.third'];

test('a new channel is archived from its first message, one look later', async (context) => {
  await using redis = await startRedis();
  await using scene = await setScene();
  await using atArchiver = await openRedisRegistry({ url: redis.url });
  await using atPublisher = await openRedisRegistry({ url: redis.url });
  await using _archiver = await scene.startArchiver({
    channels: ['orders', 'late.*'],
    registry: {
      list: async () => new Map([...(await atArchiver.list()), ['orders', scene.address]]),
    },
    discoverEveryMs: DISCOVER_EVERY_MS,
    acknowledge: ['*'],
  });
  for (const channel of CHANNELS) {
    const beganAtMs = performance.now();
    const address = await atPublisher.resolve(channel);
    await using publisher = await scene.openPublisher({ address, lingerMs: 500 });
    for (let count = 0; count < MESSAGES; count += 1) await publisher.publish(Buffer.alloc(100));
    await publisher.archived(1, { timeoutMs: 20_000 });
    const tookMs = Math.round(performance.now() - beganAtMs);
    context.diagnostic(`${channel}: the first message is archived after ${tookMs} ms`);
    await publisher.archived(MESSAGES, { timeoutMs: 20_000 });
  }
  await until('all is archived', async () => {
    const verdicts = await audit(scene.database);
    return (
      verdicts.filter(({ storedCount }) => storedCount === MESSAGES).length === CHANNELS.length
    );
  });
  for (const { problems, lostCount } of await audit(scene.database))
    assert.deepEqual([problems, lostCount], [[], 0]);
});

test('a channel whose address an operator changes in the registry moves with it', async () => {
  await using redis = await startRedis();
  await using scene = await setScene();
  await using registry = await openRedisRegistry({ url: redis.url });
  const before = await registry.resolve('late.moving');
  await using archiver = await scene.startArchiver({
    channels: ['orders', 'late.*'],
    registry: {
      list: async () => new Map([...(await registry.list()), ['orders', scene.address]]),
    },
    discoverEveryMs: DISCOVER_EVERY_MS,
    acknowledge: ['*'],
  });
  await archiver.recording('late.moving');
  await using old = await scene.openPublisher({ address: before });
  const durable = { until: 'archived', timeoutMs: 20_000 } as const;
  await old.publish(Buffer.from('before'), durable);
  const operator = new Redis(redis.url.slice('unix://'.length));
  const entry = await operator.hget('backcast:channels', 'late.moving');
  const group = before.group === '239.192.7.7' ? '239.192.7.8' : '239.192.7.7';
  await operator.hset(
    'backcast:channels',
    'late.moving',
    String(entry).replace(before.group, group),
  );
  operator.disconnect();
  await using second = await openRedisRegistry({ url: redis.url });
  const behind = await second.resolve('late.moving');
  assert.equal(behind.group, group);
  await using fresh = await scene.openPublisher({ address: behind });
  assert.equal(await fresh.publish(Buffer.from('behind'), durable), 1);
  assert.equal(await old.publish(Buffer.from('still there'), durable), 2);
});
