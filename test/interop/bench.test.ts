// The bench itself: the peers of other implementations among themselves, on the network on which
// they then meet ours. If one of these fails, the fault is the bench's, or not ours.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNetwork } from '#test/support/network.ts';
import {
  startOpenpgmReceiver,
  startOpenpgmSender,
  startZmqPublisher,
  startZmqSubscriber,
} from '#test/support/peers.ts';

test('OpenPGM delivers to OpenPGM across the network that drops packets', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  const address = { group: '239.192.9.1', port: 3_055 };
  await b.drop(
    [address.port],
    [
      { type: 'odata', percent: 10, how: 'by-number' },
      { type: 'rdata', percent: 10, how: 'counted' },
    ],
  );
  const settings = { count: 300, sizes: '200,32,1444,10000' };
  const receiver = await startOpenpgmReceiver(b, address, settings);
  const sender = await startOpenpgmSender(a, address, { ...settings, pace: 300 });
  const { received, resets, firstWrong } = await receiver.report();
  assert.deepEqual({ received, resets, firstWrong }, { received: 300, resets: 0, firstWrong: '' });
  await sender.end();
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});

test('ZeroMQ delivers to ZeroMQ across the network that drops packets', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  const address = { group: '239.192.9.1', port: 5_555 };
  await b.drop([address.port], [{ percent: 5, how: 'counted' }]);
  const settings = { count: 500, sizes: '100,0,5000', topic: 'orders' };
  const subscriber = await startZmqSubscriber(b, address, settings);
  const publisher = await startZmqPublisher(a, address, { ...settings, pace: 500 });
  const { received, firstWrong } = await subscriber.report();
  assert.deepEqual({ received, firstWrong }, { received: 500, firstWrong: '' });
  await publisher.end();
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});
