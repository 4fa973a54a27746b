// Several implementations on one host, group and port, where sockets share the port and the kernel
// chooses which of them hears what is sent to one of them alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { startListening, startPublishing } from '#test/support/commands-on-host.ts';
import { createNetwork, type Drop } from '#test/support/network.ts';
import { peerMessages } from '#test/support/peer-messages.ts';
import {
  type Peer,
  startOpenpgmReceiver,
  startOpenpgmSender,
  startZmqPublisher,
  startZmqSubscriber,
} from '#test/support/peers.ts';

const RAW: ChannelAddress = { group: '239.192.9.1', port: 5_555, dport: 7_500, framing: 'raw' };
const ZMQ: ChannelAddress = { group: '239.192.9.2', port: 5_555, dport: 5_555, framing: 'zmq' };
const DROPS: readonly Drop[] = [
  { type: 'odata', percent: 10, how: 'by-number' },
  { type: 'rdata', percent: 10, how: 'counted' },
];
const COUNT = 500;
/** Each tells its sender. */
const SIZES = [200, 32, 1_420];

async function assertHasAll(receiver: Peer, received: number): Promise<void> {
  const { resets, firstWrong, ...report } = await receiver.report();
  const { received: had } = report;
  assert.deepEqual({ had, resets, firstWrong }, { had: received, resets: 0, firstWrong: '' });
}

test('receivers of OpenPGM, of ZeroMQ and ours share hosts and a port', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([5_555], DROPS);
  const settings = { count: COUNT, sizes: SIZES };
  const receivers = [
    await startOpenpgmReceiver(a, RAW, settings),
    await startOpenpgmReceiver(b, RAW, settings),
    await startOpenpgmReceiver(b, RAW, settings),
    await startZmqSubscriber(a, ZMQ, { ...settings, seeds: 2 }),
    await startZmqSubscriber(b, ZMQ, { ...settings, seeds: 2 }),
  ];
  const listenings = [await startListening(b, RAW), await startListening(a, RAW)];
  const listening = await startListening(b, ZMQ);
  const raw = startPublishing(a, RAW, 500);
  const zmq = startPublishing(a, ZMQ, 500);
  const [rawMessages, zmqMessages] = [1, 2].map((seed) => peerMessages(seed, COUNT, SIZES));
  await Promise.all([raw.send(rawMessages ?? []), zmq.send(zmqMessages ?? [])]);
  for (const receiver of receivers) await assertHasAll(receiver, COUNT);
  for (const each of [...listenings, listening]) await each.received(COUNT);
  const texts = rawMessages?.map((message) => message.toString());
  for (const each of listenings) assert.deepEqual(each.messages(), texts);
  assert.deepEqual(
    listening.messages(),
    zmqMessages?.map((message) => message.toString()),
  );
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});

test('a publisher of ours leaves an OpenPGM publisher beside it its requests', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([5_555], DROPS);
  const receiver = await startOpenpgmReceiver(b, RAW, {
    count: 2 * COUNT,
    sizes: SIZES,
    seeds: '1,2',
  });
  const sender = await startOpenpgmSender(a, RAW, {
    count: COUNT,
    sizes: SIZES,
    seed: 1,
    pace: 500,
  });
  const publishing = startPublishing(a, RAW, 500);
  await publishing.send(peerMessages(2, COUNT, SIZES));
  await assertHasAll(receiver, 2 * COUNT);
  await sender.end();
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});

test('a publisher of ours leaves a ZeroMQ publisher beside it its requests', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([5_555], DROPS);
  const subscriber = await startZmqSubscriber(b, ZMQ, {
    count: 2 * COUNT,
    sizes: SIZES,
    seeds: '1,2',
  });
  const publisher = await startZmqPublisher(a, ZMQ, {
    count: COUNT,
    sizes: SIZES,
    seed: 1,
    pace: 500,
  });
  const publishing = startPublishing(a, ZMQ, 500);
  await publishing.send(peerMessages(2, COUNT, SIZES));
  await assertHasAll(subscriber, 2 * COUNT);
  await publisher.end();
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});
