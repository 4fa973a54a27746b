// The live subscriber on real sockets, told by a real publisher.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import {
  ChannelPublisher,
  ChannelSubscriber,
  type LiveItem,
  type LiveMessage,
  type OpenSubscriberOptions,
} from '#client/mod.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

interface Pair extends AsyncDisposable {
  readonly publisher: ChannelPublisher;
  readonly subscriber: ChannelSubscriber;
  readonly heard: AsyncIterator<LiveItem>;
}

const PUBLISHER = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 10_000,
  windowPackets: 65_536,
  windowBytes: 96 * 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 1,
  source: 'gateway-7',
};
const SUBSCRIBER = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
};

async function openPair(options: Partial<OpenSubscriberOptions> = {}): Promise<Pair> {
  const resources = new AsyncDisposableStack();
  const { group, port } = resources.use(await reserveGroup());
  const address: ChannelAddress = { group, port, dport: 7_500, framing: 'native' };
  const subscriber = resources.use(
    await ChannelSubscriber.open({ ...SUBSCRIBER, address, ...options }),
  );
  const publisher = resources.use(await ChannelPublisher.open({ ...PUBLISHER, address }));
  const dispose = (): Promise<void> => resources.disposeAsync();
  const heard = subscriber[Symbol.asyncIterator]();
  return { publisher, subscriber, heard, [Symbol.asyncDispose]: dispose };
}

/** The next `count` messages; anything else is passed over, but a loss fails. */
async function nextMessages(heard: AsyncIterator<LiveItem>, count: number): Promise<LiveMessage[]> {
  const messages: LiveMessage[] = [];
  while (messages.length < count) {
    const { value, done } = await heard.next();
    assert.notEqual(done, true);
    const live = value as LiveItem;
    assert.notEqual(live.kind, 'lost');
    if (live.kind === 'message') messages.push(live);
  }
  return messages;
}

test('messages come in order, with their bytes, and sessions begin and end', async () => {
  await using pair = await openPair();
  const { publisher, heard } = pair;
  for (const text of ['one', '', 'three']) await publisher.publish(Buffer.from(text));
  assert.deepEqual(await heard.next(), {
    done: false,
    value: { kind: 'session', session: publisher.session, state: 'open' },
  });
  const messages = await nextMessages(heard, 3);
  assert.deepEqual(
    messages.map(({ sequence, payload }) => [sequence, Buffer.from(payload).toString()]),
    [
      [1, 'one'],
      [2, ''],
      [3, 'three'],
    ],
  );
  await publisher.close();
  const { value } = await heard.next();
  assert.deepEqual(value, { kind: 'session', session: publisher.session, state: 'closed' });
});

test('what is dropped on the way comes all the same', async () => {
  await using pair = await openPair({ faults: 'receive-loss=0.3,kinds=odata,seed=5' });
  const { publisher, heard, subscriber } = pair;
  await publisher.publish(Buffer.from('0'));
  const [first] = await nextMessages(heard, 1);
  for (let number = 1; number <= 50; number += 1) await publisher.publish(Buffer.alloc(1_300));
  const messages = await nextMessages(heard, 50);
  const from = first?.sequence ?? 0;
  assert.ok(messages.every(({ sequence }, index) => sequence === from + index + 1));
  assert.ok(subscriber.counters.repairsReceived > 0);
});

test('a reader that falls behind gets everything once it reads on', async () => {
  await using pair = await openPair();
  const { publisher, subscriber, heard } = pair;
  const empty = new Uint8Array(0);
  await publisher.publish(empty);
  await nextMessages(heard, 1);
  let count = 0;
  while (subscriber.overrunDatagrams === 0) {
    for (let one = 0; one < 1_024; one += 1) await publisher.publish(empty);
    count += 1_024;
    assert.ok(count < 2_000_000, 'what waits for the reader is bounded');
    await new Promise((resolve) => setImmediate(resolve));
  }
  const messages = await nextMessages(heard, count);
  assert.ok(messages.every(({ sequence }, index) => sequence === index + 2));
});

test('disposing ends an iteration that waits, and one in the middle of a batch', async () => {
  await using waiting = await openPair();
  const next = waiting.heard.next();
  await waiting.subscriber[Symbol.asyncDispose]();
  assert.equal((await next).done, true);
  await using busy = await openPair();
  for (let number = 0; number < 3; number += 1) await busy.publisher.publish(Buffer.alloc(1));
  await nextMessages(busy.heard, 1);
  await until('all three are heard', () => busy.subscriber.counters.messagesDelivered === 3);
  await busy.subscriber[Symbol.asyncDispose]();
  assert.equal((await busy.heard.next()).done, true);
  await busy.subscriber[Symbol.asyncDispose]();
});

test('what cannot be opened leaves no socket behind', async () => {
  await using reserved = await reserveGroup();
  const address: ChannelAddress = { ...reserved, dport: 7_500, framing: 'native' };
  for (const options of [{ faults: 'rain=1' }, { interfaceAddress: '203.0.113.9' }]) {
    await assert.rejects(ChannelSubscriber.open({ ...SUBSCRIBER, address, ...options }));
  }
  await until('only the reserved group is open', () => openSocketCount() === 1);
});
