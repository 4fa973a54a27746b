// Ours and ZeroMQ's epgm://, both ways, on a network that drops one packet of twenty, whatever it
// is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { startListening, startPublishing } from '#test/support/commands-on-host.ts';
import { createNetwork, type Drop, type Host } from '#test/support/network.ts';
import { peerMessages } from '#test/support/peer-messages.ts';
import { startZmqPublisher, startZmqSubscriber } from '#test/support/peers.ts';

const ADDRESS: ChannelAddress = { group: '239.192.9.2', port: 5_555, dport: 5_555, framing: 'zmq' };
const DROPS: readonly Drop[] = [{ percent: 5, how: 'random' }];

async function assertDropped(host: Host): Promise<void> {
  const [count = 0] = await host.droppedCounts();
  assert.ok(count > 0, 'the network has dropped packets');
}

function textsOf(messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString());
}

test('what ZeroMQ publishes, subscribe has all of in order', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const listening = await startListening(b, ADDRESS);
  const publisher = await startZmqPublisher(a, ADDRESS, {
    count: 5_000,
    sizes: '100',
    pace: 2_500,
  });
  await listening.received(5_000);
  assert.deepEqual(listening.messages(), textsOf(peerMessages(1, 5_000, [100])));
  assert.ok(listening.lines.every(({ kind }) => kind !== 'loss'));
  await publisher.end();
  await assertDropped(b);
});

test('messages of several parts that ZeroMQ publishes keep their parts', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const sizes = [40, 5_000, 0, 254];
  const listening = await startListening(b, ADDRESS);
  const publisher = await startZmqPublisher(a, ADDRESS, {
    count: 1_000,
    sizes,
    topic: 'orders',
    pace: 500,
  });
  await listening.received(1_000);
  const parts = listening.lines
    .filter(({ kind }) => kind === 'message')
    .map((line) => line.parts?.map(({ payload }) => payload));
  const expected = textsOf(peerMessages(1, 1_000, sizes)).map((body) => ['orders', body]);
  assert.deepEqual(parts, expected);
  await publisher.end();
  await assertDropped(b);
});

test('what publish sends, ZeroMQ has all of in order', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const subscriber = await startZmqSubscriber(b, ADDRESS, { count: 5_000, sizes: '100' });
  const publishing = startPublishing(a, ADDRESS, 2_500);
  await publishing.send(peerMessages(1, 5_000, [100]));
  const { received, firstWrong, firsts } = await subscriber.report();
  assert.deepEqual(
    { received, firstWrong, firsts },
    { received: 5_000, firstWrong: '', firsts: [1] },
  );
  assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});

test('messages of any size that publish sends leave ZeroMQ alive and complete', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const aroundPacketEnds = [1_420, 2_848, 4_276].flatMap((size) =>
    Array.from({ length: 16 }, (_, at) => size - 12 + at),
  );
  const sizes = [0, 1, 2, 252, 253, 254, 255, 256, 257, ...aroundPacketEnds, 40_000];
  const count = sizes.length * 8;
  const settings = { count, sizes, rate: 80_000, recovery: 4_000 };
  const subscriber = await startZmqSubscriber(b, ADDRESS, settings);
  const publishing = startPublishing(a, ADDRESS, 200);
  await publishing.send(peerMessages(1, count, sizes));
  const { received, firstWrong } = await subscriber.report();
  assert.deepEqual({ received, firstWrong }, { received: count, firstWrong: '' });
  assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});

test('a message of a megabyte reaches ZeroMQ', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  const sizes = [1_048_000, 100];
  const settings = { count: 6, sizes, rate: 400_000, recovery: 4_000 };
  const subscriber = await startZmqSubscriber(b, ADDRESS, settings);
  const publishing = startPublishing(a, ADDRESS, 5);
  await publishing.send(peerMessages(1, 6, sizes));
  const { received, firstWrong } = await subscriber.report();
  assert.deepEqual({ received, firstWrong }, { received: 6, firstWrong: '' });
  assert.equal((await publishing.end()).end, 0);
});

test('ZeroMQ survives restarts of publishers, and joins in the middle of messages', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  const sizes = [200, 20_000, 1_421];
  const settings = { sizes, seeds: '1,2,3', late: 1, last: 400, rate: 80_000 };
  const first = await startZmqSubscriber(b, ADDRESS, settings);
  const subscribers = [first];
  for (const seed of [1, 2, 3]) {
    const publishing = startPublishing(a, ADDRESS, 400);
    const sending = publishing.send(peerMessages(seed, 400, sizes));
    await first.received(seed * 400 - 200);
    subscribers.push(await startZmqSubscriber(b, ADDRESS, settings));
    await sending;
    await first.received(seed * 400);
    if (seed < 3) publishing.command.kill('SIGKILL');
  }
  const reports = await Promise.all(subscribers.map((subscriber) => subscriber.report()));
  assert.equal(reports[0]?.received, 1_200);
  for (const { firstWrong, firsts, received } of reports) {
    assert.equal(firstWrong, '');
    const heard = firsts.filter((index) => index > 0).map((index) => 400 - index + 1);
    assert.equal(
      received,
      heard.reduce((sum, count) => sum + count, 0),
    );
  }
});
