// Publishers and subscriptions opened by the name of a channel and a registry, with nothing said
// that could be left out: what the registry hears of them, and what they hear of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delivery } from '#base/mod.ts';
import { openPublisher, subscribe, type SubscribedItem, type Subscription } from '#client/mod.ts';
import { openKeptRegistry, type Registry } from '#registry/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const CHANNEL = 'orders';

/** A registry of a folder of its own, which has one address to give away. */
async function openRegistry(
  resources: AsyncDisposableStack,
  delivery: Delivery,
  leaseMs = 30_000,
): Promise<Registry> {
  const { path: home } = resources.use(await createTestFolder());
  const { group, port } = resources.use(await reserveGroup());
  const pool = { groups: [group], ports: [port, port], dport: 7_500 } as const;
  return resources.use(await openKeptRegistry({ home, registry: { delivery, pool, leaseMs } }));
}

async function firstText(subscription: Subscription): Promise<string> {
  for await (const told of subscription)
    if (told.kind === 'message') return Buffer.from(told.payload).toString();
  throw new Error('nothing was told');
}

for (const delivery of ['multicast', 'unicast'] as const) {
  test(`${delivery}: the name of a channel and a registry are enough`, async () => {
    await using resources = new AsyncDisposableStack();
    const registry = await openRegistry(resources, delivery);
    const subscription = resources.use(
      await subscribe({ channel: CHANNEL, multicast: { registry } }),
    );
    const publisher = await openPublisher({ channel: CHANNEL, registry, lingerMs: 1 });
    const told = firstText(subscription);
    await publisher.publish(Buffer.from('hello'));
    assert.equal(await told, 'hello');
    assert.equal((await registry.members(CHANNEL)).length, delivery === 'unicast' ? 1 : 0);
    await publisher.close();
  });
}

test('a registry hears of a session until its publisher is closed', async () => {
  await using resources = new AsyncDisposableStack();
  const registry = await openRegistry(resources, 'multicast');
  const publisher = await openPublisher({
    channel: CHANNEL,
    registry,
    source: 'gateway-7',
    lingerMs: 1,
  });
  const { session } = publisher;
  assert.partialDeepStrictEqual(await registry.sessions(CHANNEL), [
    { session, source: 'gateway-7', address: '127.0.0.1' },
  ]);
  await publisher.close();
  assert.deepEqual(await registry.sessions(CHANNEL), []);
});

test('a publisher that cannot be announced is not left open', async () => {
  await using resources = new AsyncDisposableStack();
  const registry = await openRegistry(resources, 'multicast');
  const before = openSocketCount();
  const refusing = {
    ...registry,
    announce: (): Promise<void> => Promise.reject(new Error('no disk')),
  };
  const opened = openPublisher({ channel: CHANNEL, registry: refusing, lingerMs: 1 });
  await assert.rejects(opened, /no disk/);
  await until('its socket is closed', () => openSocketCount() === before);
});

test('a kept registry renews what was announced, until it is disposed', async () => {
  await using resources = new AsyncDisposableStack();
  const leaseMs = 1_000;
  const registry = await openRegistry(resources, 'multicast', leaseMs);
  const publisher = await openPublisher({ channel: CHANNEL, registry, lingerMs: 1 });
  const openedMs = performance.now();
  let count = 1;
  await until('three leases are over, or the session', async () => {
    count = (await registry.sessions(CHANNEL)).length;
    return count === 0 || performance.now() - openedMs > 3 * leaseMs;
  });
  assert.equal(count, 1);
  await publisher.close();
});

test('an address needs a group and a port, and what it lacks is as usual', async () => {
  await using reserved = await reserveGroup();
  const { group, port } = reserved;
  await using subscription = await subscribe({
    channel: CHANNEL,
    multicast: { address: { group, port } },
  });
  assert.equal(subscription.listensAt, `${group}:${port}`);
  for (const address of [{ group: '10.0.0.1', port }, { group, port: 0 }, { group }, 7]) {
    const wrong = { channel: CHANNEL, address: address as { group: string; port: number } };
    await assert.rejects(openPublisher(wrong), { code: 'BACKCAST_USAGE' });
  }
  await assert.rejects(openPublisher({ channel: CHANNEL }), { code: 'BACKCAST_USAGE' });
  await assert.rejects(openPublisher({ channel: 'a/b', address: { group, port } }), {
    code: 'BACKCAST_CHANNEL_NAME',
  });
});

test('a message that is no bytes is refused, and nothing is published', async () => {
  await using reserved = await reserveGroup();
  const { group, port } = reserved;
  const publisher = await openPublisher({
    channel: CHANNEL,
    address: { group, port },
    lingerMs: 1,
  });
  for (const payload of ['text', 7, undefined, { length: 3 }, [1, 2]]) {
    const refused = publisher.publish(payload as unknown as Uint8Array);
    await assert.rejects(refused, { code: 'BACKCAST_USAGE' });
  }
  assert.equal(publisher.lastSequence, 0);
  await publisher.close();
});

/** Places that JavaScript lets through, each with the error that says what is wrong. */
const WRONG_PLACES: readonly (readonly [unknown, string])[] = [
  ['begin', 'BACKCAST_USAGE'],
  [7, 'BACKCAST_USAGE'],
  [null, 'BACKCAST_USAGE'],
  [{}, 'BACKCAST_USAGE'],
  [{ position: 0 }, 'BACKCAST_USAGE'],
  [{ time: 'yesterday' }, 'BACKCAST_USAGE'],
  [{ time: 7 }, 'BACKCAST_USAGE'],
  [{ time: new Date(Number.NaN) }, 'BACKCAST_USAGE'],
  [{ cursor: undefined }, 'BACKCAST_CURSOR_INVALID'],
  [{ cursor: 'bc1.x' }, 'BACKCAST_CURSOR_INVALID'],
];

for (const [from, code] of WRONG_PLACES) {
  test(`a subscription does not begin at ${JSON.stringify(from)}`, async () => {
    const archive = { url: 'http://127.0.0.1:1' };
    const given = { channel: CHANNEL, archive, from: from as 'live' };
    await assert.rejects(subscribe(given), { code });
  });
}

test('an archive that is nowhere is refused at once', async () => {
  for (const url of [undefined, '', 'nonsense', 'ftp://127.0.0.1', '127.0.0.1:8080']) {
    const archive = { url: url as string };
    await using subscription = await subscribe({ channel: CHANNEL, archive, from: 'start' });
    const [told] = await Promise.allSettled([all(subscription)]);
    assert.equal(
      told.status === 'rejected' && (told.reason as { code?: unknown }).code,
      'BACKCAST_USAGE',
    );
  }
});

async function all(subscription: Subscription): Promise<SubscribedItem[]> {
  return await Array.fromAsync(subscription);
}
