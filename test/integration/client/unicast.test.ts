// Channels of unicast delivery between a publisher and subscribers of one process: what goes where,
// and what cannot be.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { type ChannelAddress, fixedMembers, type MemberAddress } from '#base/mod.ts';
import {
  ChannelPublisher,
  ChannelSubscriber,
  type LiveMessage,
  type OpenPublisherOptions,
  type OpenSubscriberOptions,
} from '#client/mod.ts';
import { openGroupSocket, type UnicastOptions } from '#multicast/udp/mod.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const PUBLISHER: Omit<OpenPublisherOptions, 'address'> = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 10_000,
  windowPackets: 65_536,
  windowBytes: 96 * 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 1,
};
const SUBSCRIBER: Omit<OpenSubscriberOptions, 'address'> = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
};

async function reserveChannel(resources: AsyncDisposableStack): Promise<ChannelAddress> {
  const { group, port } = resources.use(await reserveGroup());
  return { group, port, dport: 7_500, framing: 'native', delivery: 'unicast' };
}

/** A subscriber that tells where it listens instead of joining anything. */
async function listen(
  address: ChannelAddress,
  unicast: UnicastOptions = {},
): Promise<{ readonly subscriber: ChannelSubscriber; readonly at: MemberAddress }> {
  const heard = Promise.withResolvers<MemberAddress>();
  const join = async (at: MemberAddress): Promise<undefined> => heard.resolve(at) as undefined;
  const options = { ...SUBSCRIBER, address, unicast: { ...unicast, join } };
  return { subscriber: await ChannelSubscriber.open(options), at: await heard.promise };
}

async function firstMessage(subscriber: ChannelSubscriber): Promise<LiveMessage> {
  for await (const live of subscriber) if (live.kind === 'message') return live;
  throw new Error('nothing was heard');
}

test('each member hears the stream and the group nothing', async () => {
  await using resources = new AsyncDisposableStack();
  const address = await reserveChannel(resources);
  const group = resources.use(
    await openGroupSocket({ ...address, interfaceAddress: LOOPBACK, receiveBufferBytes: 65_536 }),
  );
  let toGroup = 0;
  group.onDatagram = () => (toGroup += 1);
  const one = await listen(address);
  const two = await listen(address, {});
  resources.use(one.subscriber);
  resources.use(two.subscriber);
  const members = fixedMembers([one.at, two.at]);
  const publisher = resources.use(
    await ChannelPublisher.open({ ...PUBLISHER, address, unicast: { members } }),
  );
  await publisher.publish(Buffer.from('to both'));
  for (const { subscriber } of [one, two]) {
    const { payload } = await firstMessage(subscriber);
    assert.equal(Buffer.from(payload).toString(), 'to both');
  }
  assert.equal(publisher.transportCounters.copiesSent % 2, 0);
  assert.ok(publisher.transportCounters.copiesSent >= 4, 'a heartbeat and a message to each');
  assert.equal(toGroup, 0);
});

test('what one member misses is repaired, without a word to the group', async () => {
  await using resources = new AsyncDisposableStack();
  const address = await reserveChannel(resources);
  const group = resources.use(
    await openGroupSocket({ ...address, interfaceAddress: LOOPBACK, receiveBufferBytes: 65_536 }),
  );
  let toGroup = 0;
  group.onDatagram = () => (toGroup += 1);
  const heard = Promise.withResolvers<MemberAddress>();
  const subscriber = resources.use(
    await ChannelSubscriber.open({
      ...SUBSCRIBER,
      address,
      faults: 'receive-loss=0.3,kinds=odata,seed=5',
      unicast: { join: async (at) => heard.resolve(at) as undefined },
    }),
  );
  const members = fixedMembers([await heard.promise]);
  const publisher = resources.use(
    await ChannelPublisher.open({ ...PUBLISHER, address, lingerMs: 2_000, unicast: { members } }),
  );
  for (let number = 0; number < 60; number += 1) await publisher.publish(Buffer.alloc(1_300));
  const sequences: number[] = [];
  for await (const live of subscriber) {
    assert.notEqual(live.kind, 'lost');
    if (live.kind === 'message') sequences.push(live.sequence);
    if (sequences.at(-1) === 60) break;
  }
  assert.ok(sequences.every((sequence, index) => sequence === sequences[0] + index));
  assert.ok(subscriber.counters.repairsReceived > 0);
  assert.equal(toGroup, 0);
});

test('a member that comes later is shown the state at once', async () => {
  await using resources = new AsyncDisposableStack();
  const address = await reserveChannel(resources);
  const listeners = new Set<() => void>();
  const members = {
    current: [] as readonly MemberAddress[],
    watch: (listener: () => void): Disposable => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  const publisher = await ChannelPublisher.open({ ...PUBLISHER, address, unicast: { members } });
  await publisher.publish(Buffer.from('to nobody'));
  await until('it is sent', () => publisher.counters.packetsSent === 1);
  await until('the publisher is quiet', () => publisher.counters.spmsSent >= 4);
  const { subscriber, at } = await listen(address);
  resources.use(subscriber);
  const spmsSent = publisher.counters.spmsSent;
  members.current = [at];
  for (const listener of listeners) listener();
  const joinedAtMs = performance.now();
  await until('the session is heard', () => subscriber.counters.sessionsOpened === 1);
  const waitedMs = performance.now() - joinedAtMs;
  assert.ok(publisher.counters.spmsSent === spmsSent + 1, `heard after ${waitedMs} ms`);
  await publisher.close();
  assert.equal(listeners.size, 0);
});

test('receivers and publishers take the first free port of the range', async () => {
  await using resources = new AsyncDisposableStack();
  const address = await reserveChannel(resources);
  const first = await freePair();
  const ports = [first, first + 1] as const;
  const one = await listen(address, { ports });
  const two = await listen(address, { ports });
  resources.use(two.subscriber);
  assert.deepEqual([one.at.port, two.at.port], [first, first + 1]);
  await assert.rejects(listen(address, { ports }), { code: 'BACKCAST_PORT_IN_USE' });
  await one.subscriber[Symbol.asyncDispose]();
  const members = fixedMembers([two.at]);
  await using publisher = await ChannelPublisher.open({
    ...PUBLISHER,
    address,
    unicast: { members, ports },
  });
  await assert.rejects(listen(address, { ports }), { code: 'BACKCAST_PORT_IN_USE' });
  await publisher.publish(Buffer.from('from within the range'));
  await firstMessage(two.subscriber);
});

test('what cannot be is refused, and nothing is left open', async () => {
  await using resources = new AsyncDisposableStack();
  const address = await reserveChannel(resources);
  await assert.rejects(ChannelPublisher.open({ ...PUBLISHER, address }), {
    code: 'BACKCAST_CONFIG_INVALID',
    message: /is delivered by unicast: give the publisher its members/,
  });
  const raw = { ...address, framing: 'raw' } as const;
  const unicast = { members: fixedMembers([]) };
  await assert.rejects(ChannelPublisher.open({ ...PUBLISHER, address: raw, unicast }), {
    code: 'BACKCAST_CONFIG_INVALID',
    message: /has framing raw, .* unicast delivery needs framing native/,
  });
  await assert.rejects(ChannelSubscriber.open({ ...SUBSCRIBER, address: raw }), {
    code: 'BACKCAST_CONFIG_INVALID',
  });
  const named = { ...address, sources: [LOOPBACK] };
  await assert.rejects(ChannelSubscriber.open({ ...SUBSCRIBER, address: named }), {
    code: 'BACKCAST_CONFIG_INVALID',
    message: /names its sources, .* unicast delivery joins none/,
  });
  const full = { join: () => Promise.reject(new Error('no room')) };
  const open = ChannelSubscriber.open({ ...SUBSCRIBER, address, unicast: full });
  await assert.rejects(open, { message: 'no room' });
  await until('only the reserved group is open', () => openSocketCount() === 1);
});

/** The first of two neighbouring ports that were free a moment ago. */
async function freePair(): Promise<number> {
  for (;;) {
    const one = createSocket('udp4');
    one.bind({ address: LOOPBACK, port: 0 });
    await once(one, 'listening');
    const { port } = one.address();
    const two = createSocket('udp4');
    const bound = once(two, 'listening').then(() => true);
    two.bind({ address: LOOPBACK, port: port + 1 });
    const isPair = await bound.catch(() => false);
    for (const socket of [one, two]) {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    }
    if (isPair) return port;
  }
}
