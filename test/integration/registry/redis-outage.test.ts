// Redis dies, forgets, goes back in time, dawdles and lies while an archiver and publishers run:
// what runs goes on, and what Redis has lost is back within two of the intervals at which
// everybody renews what is theirs.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { ChannelAddress } from '#base/mod.ts';
import { announced } from '#client/channel-place.ts';
import { openCommandRegistry } from '#cli/registry.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { type Config, loadConfig } from '#config/mod.ts';
import { openRegistry, parsePool, type Registry } from '#registry/mod.ts';
import { preferredSlot } from '#registry/pool.ts';
import { type ArchiverProcess, startArchiverProcess } from '#test/support/watched-archiver.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { type Gate, startGate } from '#test/support/gate.ts';
import { judge, publishedBy } from '#test/support/judgement.ts';
import { publishLabelled } from '#test/support/labelled-messages.ts';
import { type OwnRedis, startRedis } from '#test/support/redis.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';

const LEASE_MS = 6_000;
/** How often everybody renews; two of these make the registry whole. */
const INTERVAL_MS = LEASE_MS / 3;
const MESSAGES_PER_SEC = 2_000;
const PAYLOAD_BYTES = 150;
const CHANNEL = 'orders';

interface Stage extends AsyncDisposable {
  readonly redis: OwnRedis;
  readonly gate: Gate;
  readonly archiver: ArchiverProcess;
  readonly config: Config;
  /** What the publisher uses. */
  readonly registry: Registry;
  readonly address: ChannelAddress;
  readonly scene: Scene;
  readonly publisher: ChannelPublisher;
  /** The publisher's registry has said these. */
  readonly told: readonly string[];
  /** Runs commands on the server, past the gate. */
  readonly asOperator: <Answer>(command: (redis: Redis) => Promise<Answer>) => Promise<Answer>;
  /** Asks as one who starts now and remembers nothing. */
  readonly asStranger: <Answer>(ask: (registry: Registry) => Promise<Answer>) => Promise<Answer>;
}

/** An archiver and a publisher that have found each other by Redis. */
async function setStage(): Promise<Stage> {
  await using resources = new AsyncDisposableStack();
  const redis = resources.use(await startRedis());
  const path = redis.url.slice('unix://'.length);
  const gate = resources.use(await startGate({ path }));
  const { path: homeDir } = resources.use(await createTestFolder());
  const prefix = `chaos-${process.pid}-${gate.port}:`;
  const shared = {
    redisUrl: `redis://127.0.0.1:${gate.port}`,
    registry: { prefix, leaseMs: LEASE_MS },
  };
  const before = resources.use(await setScene({ channel: CHANNEL }));
  const archiver = resources.use(
    await startArchiverProcess({
      homeDir,
      databaseUrl: before.databaseUrl,
      config: { ...shared, archiver: { name: 'archiver', shards: 1 } },
    }),
  );
  const config = loadConfig({ cwd: homeDir, env: {}, file: join(homeDir, 'backcast.yaml') });
  const told: string[] = [];
  const registry = await openCommandRegistry(config, resources, (line) => told.push(line));
  const address = await registry.resolve(CHANNEL);
  const { databaseUrl } = before;
  const scene = resources.use(await setScene({ channel: CHANNEL, address, databaseUrl }));
  const publisher = resources.use(await scene.openPublisher({ lingerMs: 300 }));
  resources.use(await announced(registry, CHANNEL, publisher));
  assert.ok(await archiver.records(CHANNEL), archiver.said.join('\n'));
  const owned = resources.move();
  const stranger = { ...config, home: join(homeDir, 'stranger') };
  return {
    redis,
    gate,
    archiver,
    config,
    registry,
    address,
    scene,
    publisher,
    told,
    asOperator: (command) => onServer(path, command),
    asStranger: async (ask) => {
      await using opened = await openRegistry({ ...stranger, redisUrl: redis.url });
      return await ask(opened);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function onServer<Answer>(
  path: string,
  command: (redis: Redis) => Promise<Answer>,
): Promise<Answer> {
  const operator = new Redis(path);
  try {
    return await command(operator);
  } finally {
    operator.disconnect();
  }
}

/** Lets `trouble` happen to Redis under traffic; nothing may be lost by it. */
async function publishThrough(trouble: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await setStage();
  const { scene, publisher, archiver } = stage;
  const load = { messagesPerSec: MESSAGES_PER_SEC, payloadBytes: PAYLOAD_BYTES };
  await using traffic = startTraffic([publisher], load);
  await scene.accounted(MESSAGES_PER_SEC / 2);
  await trouble(stage);
  await traffic.stop();
  await publishLabelled(publisher, PAYLOAD_BYTES);
  await scene.accounted(traffic.publishedCount);
  assert.equal(await archiver.stop(), 0, archiver.said.join('\n'));
  await judge(scene, [publishedBy(publisher)]);
}

/** Resolves when one who starts now finds the channel where it was and the session on it. */
async function untilWhole({ asStranger, address, publisher }: Stage): Promise<void> {
  const isWhole = async (registry: Registry): Promise<boolean> => {
    const sessions = await registry.sessions(CHANNEL);
    const found = (await registry.list()).get(CHANNEL);
    if (found !== undefined) assert.deepEqual(found, address);
    return found !== undefined && sessions.some(({ session }) => session === publisher.session);
  };
  await until('the registry is whole', () => asStranger(isWhole), 2 * INTERVAL_MS);
}

test('Redis killed and started again empty costs no message, and is whole soon', () =>
  publishThrough(async (stage) => {
    const { redis, gate, registry } = stage;
    await redis.kill();
    gate.shut();
    await delay(2 * INTERVAL_MS);
    await assert.rejects(registry.resolve('new'), { code: 'BACKCAST_REDIS_UNREACHABLE' });
    await redis.restart();
    gate.open();
    await until('it is reached again', () => stage.told.some((line) => line.includes('again')));
    await untilWhole(stage);
  }));

test('Redis flushed costs no message and gives no address away that is in use', () =>
  publishThrough(async (stage) => {
    const { asOperator, asStranger, address, config } = stage;
    const names = rivalsOf(CHANNEL, config.registry);
    await asOperator((operator) => operator.flushall());
    const others = await asStranger(async (registry) => {
      return await Promise.all(names.map((name) => registry.resolve(name)));
    });
    await untilWhole(stage);
    const groups = [address, ...others].map(({ group }) => group);
    assert.equal(new Set(groups).size, groups.length);
    const ports = [address, ...others].map(({ port }) => port);
    assert.equal(new Set(ports).size, ports.length);
  }));

test('a Redis that goes back to an older copy of itself is told what it has lost', () =>
  publishThrough(async (stage) => {
    const { asOperator, registry, config } = stage;
    const key = `${config.registry.prefix}channels`;
    const older = await asOperator((operator) => operator.hgetall(key));
    const late = await registry.resolve('late');
    await asOperator((operator) => operator.multi().flushall().hset(key, older).exec());
    await untilWhole(stage);
    assert.deepEqual(await stage.asStranger((stranger) => stranger.resolve('late')), late);
    assert.deepEqual(await registry.resolve('late'), late);
  }));

test('a Redis that takes 5 s for each answer holds nothing up', () =>
  publishThrough(async (stage) => {
    const { gate, registry, address, archiver, scene } = stage;
    gate.state.delayMs = 5_000;
    const startedAtMs = performance.now();
    assert.deepEqual(await registry.resolve(CHANNEL), address);
    assert.deepEqual(await registry.lookup(CHANNEL), address);
    assert.ok(performance.now() - startedAtMs < 4_000);
    await delay(3 * INTERVAL_MS);
    await scene.accounted(stage.publisher.lastSequence);
    assert.equal(archiver.end, undefined);
    gate.state.delayMs = 0;
    await until('it is reached again', async () => {
      return (await registry.reconcile()).renewedSessionCount === 1;
    });
    await untilWhole(stage);
  }));

/** Names whose address is looked for in the same place as that of `channel`. */
function rivalsOf(channel: string, { pool, prefix }: Config['registry']): string[] {
  const slots = parsePool(pool);
  const slot = preferredSlot(slots, prefix + channel);
  const rivals: string[] = [];
  for (let number = 1; rivals.length < 5; number += 1) {
    if (preferredSlot(slots, `${prefix}rival-${number}`) === slot) rivals.push(`rival-${number}`);
  }
  return rivals;
}

/** A million channels, none of which can be. */
async function fill(operator: Redis, key: string): Promise<void> {
  for (let first = 0; first < 1_000_000; first += 20_000) {
    const fields = Array.from({ length: 20_000 }, (_, index) => [`c${first + index}`, 'x']);
    await operator.hset(key, ...fields.flat());
  }
}

test('a poisoned registry moves nobody who runs, and fills no memory', () =>
  publishThrough(async (stage) => {
    const { asOperator, archiver, address, registry, config, scene } = stage;
    const key = `${config.registry.prefix}channels`;
    const beforeBytes = await archiver.residentBytes();
    await asOperator(async (operator) => {
      await operator.hset(key, CHANNEL, '239.192.9.9 20009 7500 native');
      await operator.hset(key, 'huge', 'x'.repeat(50_000_000));
    });
    await delay(2 * INTERVAL_MS);
    await asOperator((operator) => fill(operator, key));
    await delay(2 * INTERVAL_MS);
    assert.deepEqual(await registry.resolve(CHANNEL), address);
    await scene.accounted(stage.publisher.lastSequence);
    const grownBytes = (await archiver.residentBytes()) - beforeBytes;
    assert.ok(grownBytes < 100_000_000, `${grownBytes} bytes more`);
    assert.ok(stage.told.some((line) => line.includes('239.192.9.9')));
    const text = `${address.group} ${address.port} ${address.dport} ${address.framing}`;
    await asOperator((operator) => operator.multi().flushall().hset(key, CHANNEL, text).exec());
    await untilWhole(stage);
  }));
