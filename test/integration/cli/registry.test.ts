// The registry as commands open it: what it tells, on a Redis that is poisoned, killed and emptied.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { openCommandRegistry } from '#cli/mod.ts';
import { loadConfig } from '#config/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { startRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

test('what is wrong is told once, and an outage when it begins and when it ends', async () => {
  await using redis = await startRedis();
  await using folder = await createTestFolder();
  await using resources = new AsyncDisposableStack();
  const config = loadConfig({
    cwd: folder.path,
    env: { REDIS_URL: redis.url },
    flags: [{ flag: '--lease', name: 'registry.leaseMs', value: 1_000 }],
  });
  const told: string[] = [];
  const registry = await openCommandRegistry(config, resources, (line) => told.push(line));
  await registry.resolve('orders');
  assert.deepEqual(told, []);

  const operator = new Redis(redis.url.slice('unix://'.length));
  await operator.hset('backcast:channels', 'poison', '10.0.0.1 1 1 native');
  operator.disconnect();
  await registry.list();
  await registry.list();
  assert.equal(told.length, 1);
  assert.match(told[0], /^registry: channel "poison": group "10\.0\.0\.1" is not/);

  await redis.kill();
  await until('the outage is told', () => told.length === 2);
  assert.match(told[1], /^registry: Redis is away: /);
  await redis.restart();
  await until('the restoration is told', () => told.length === 4);
  assert.equal(told[2], 'registry: Redis answers again');
  assert.equal(told[3], 'registry: restored what it had lost: orders');
});
