// A channel of unicast delivery from end to end: publisher, subscribers, archiver, and a Redis that
// tells them of one another. Each receiver loses 5 % of what comes and 5 % of what it sends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { type ChannelPublisher, ChannelSubscriber } from '#client/mod.ts';
import { joinChannel, openRedisRegistry, type Registry, RegistryMembers } from '#registry/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { type RunningCommand, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { startRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

const CHANNEL = 'orders';
const LEASE_MS = 1_000;
const MESSAGES_PER_STEP = 1_000;
const FAULTS = 'receive-loss=0.05,send-loss=0.05';

test('receivers that come, go and die get what is theirs while Redis restarts', async () => {
  await using redis = await startRedis();
  await using scene = await setScene({ channel: CHANNEL });
  await using resources = new AsyncDisposableStack();
  const registry = await openRegistry(redis.url, resources);
  const address = await registry.resolve(CHANNEL, { delivery: 'unicast' });
  const archiver = resources.use(
    await scene.startArchiver({
      registry,
      join: (channel, at) => joinChannel(registry, channel, at),
      faults: FAULTS,
    }),
  );
  const first = await listen(registry, resources, address, '127.0.0.1');
  const second = await listen(registry, resources, address, '127.0.0.2');
  const third = await listen(registry, resources, address, '127.0.0.3');
  const mortal = await startMortal(redis.url, resources);
  const others = await openRegistry(redis.url, resources);
  const options = { leaseMs: LEASE_MS, refreshMs: 50 };
  const members = resources.use(await RegistryMembers.open(others, CHANNEL, options));
  assert.equal(members.current.length, 5);

  const publisher = await scene.openPublisher({ address, unicast: { members } });
  const traffic = publishSteadily(publisher);
  const more = async (): Promise<unknown> => {
    const upTo = publisher.lastSequence + MESSAGES_PER_STEP;
    return until('more is heard', () => (first.sequences.at(-1) ?? 0) >= upTo);
  };
  await more();
  const late = await listen(registry, resources, address, '127.0.0.4');
  await until('the publisher knows it', () => members.current.length === 6);
  await until('it is heard', () => late.sequences.length > 0);
  await third.subscriber[Symbol.asyncDispose]();
  await until('the publisher knows that it left', () => members.current.length === 5);
  await more();
  await redis.kill();
  mortal.kill('SIGKILL');
  await more();
  assert.equal(members.current.length, 5, 'who was known stays while Redis is away');
  await redis.restart();
  await until('the dead one is forgotten', () => members.current.length === 4);
  await until('Redis knows again who is there', async () => {
    const here = (await others.members(CHANNEL)).filter(({ member }) => !member.leftAtUs);
    return here.length === 4;
  });
  await more();
  clearInterval(traffic);
  await publisher.close();

  const { lastSequence } = publisher;
  for (const { end } of [first, second, late]) assert.equal(await end, 'closed');
  assert.equal(await third.end, 'disposed');
  assert.deepEqual(rangeOf(first), [1, lastSequence]);
  assert.deepEqual(rangeOf(second), [1, lastSequence]);
  const [firstOfThird, lastOfThird] = rangeOf(third);
  assert.ok(firstOfThird === 1 && lastOfThird < lastSequence, `heard up to ${lastOfThird}`);
  const [firstOfLate, lastOfLate] = rangeOf(late);
  assert.ok(firstOfLate > MESSAGES_PER_STEP && lastOfLate === lastSequence);
  await scene.accounted(lastSequence);
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [lastSequence, 0]);
  for (const { subscriber } of [first, second, late]) await subscriber[Symbol.asyncDispose]();
  assert.ok((await others.members(CHANNEL)).every(({ member }) => member.leftAtUs !== undefined));
});

async function openRegistry(url: string, resources: AsyncDisposableStack): Promise<Registry> {
  const registry = resources.use(await openRedisRegistry({ url, leaseMs: LEASE_MS, settleMs: 0 }));
  const timer = setInterval(() => void registry.reconcile(), LEASE_MS / 3);
  resources.defer(() => clearInterval(timer));
  return registry;
}

/** With the session, or because the subscriber was disposed. */
type Ending = 'closed' | 'disposed';

interface Listener {
  readonly subscriber: ChannelSubscriber;
  /** Those heard so far. */
  readonly sequences: readonly number[];
  readonly end: Promise<Ending>;
}

async function listen(
  registry: Registry,
  resources: AsyncDisposableStack,
  address: ChannelAddress,
  interfaceAddress: string,
): Promise<Listener> {
  const subscriber = await ChannelSubscriber.open({
    address,
    interfaceAddress,
    receiveBufferBytes: 8 * 1_048_576,
    messageBytesMax: 10_000,
    repairTimeoutMs: 20_000,
    sourceExpiryMs: 30_000,
    faults: FAULTS,
    unicast: { join: (at) => joinChannel(registry, CHANNEL, at) },
  });
  resources.use(subscriber);
  const sequences: number[] = [];
  return { subscriber, sequences, end: hear(subscriber, sequences) };
}

/** Notes what it hears; a loss fails. */
async function hear(subscriber: ChannelSubscriber, sequences: number[]): Promise<Ending> {
  for await (const live of subscriber) {
    assert.notEqual(live.kind, 'lost', JSON.stringify(live));
    if (live.kind === 'message') sequences.push(live.sequence);
    if (live.kind === 'session' && live.state !== 'open') return 'closed';
  }
  return 'disposed';
}

/** First and last sequence of what was heard, which must be all between them in order. */
function rangeOf({ sequences }: Listener): [number, number] {
  const [first = 0] = sequences;
  assert.ok(sequences.every((sequence, index) => sequence === first + index));
  return [first, first + sequences.length - 1];
}

/** A subscriber in a process of its own. */
async function startMortal(
  redisUrl: string,
  resources: AsyncDisposableStack,
): Promise<RunningCommand> {
  const folder = resources.use(await createTestFolder());
  const config = { registry: { leaseMs: LEASE_MS }, redisUrl, home: folder.path };
  await writeFile(join(folder.path, 'backcast.yaml'), JSON.stringify(config));
  const command = startBackcast(['subscribe', CHANNEL], { cwd: folder.path });
  resources.defer(() => void command.kill('SIGKILL'));
  command.stdout.resume();
  const [line] = (await once(createInterface(command.stderr), 'line')) as [string];
  assert.match(line, /^listening to orders on 127\.0\.0\.1:\d+$/);
  return command;
}

/** Publishes some packets full of messages every few milliseconds until the timer is cleared. */
function publishSteadily(publisher: ChannelPublisher): NodeJS.Timeout {
  return setInterval(() => {
    for (let one = 0; one < 20; one += 1) publisher.tryPublish(Buffer.alloc(300, one));
  }, 10);
}
