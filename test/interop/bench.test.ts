// The bench itself: the peers of other implementations among themselves, on the network on which
// they then meet ours. If one of these fails, the fault is not ours, or the bench's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNetwork, type Drop } from '#test/support/network.ts';
import { startPeer } from '#test/support/peers.ts';
import { until } from '#test/support/until.ts';

const GROUP = '239.192.9.1';
const DROPS: readonly Drop[] = [
  { type: 'odata', percent: 10, how: 'by-number' },
  { type: 'rdata', percent: 10, how: 'counted' },
  { type: 'ncf', percent: 10, how: 'counted' },
];

test('OpenPGM delivers to OpenPGM across the network that drops packets', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop(3055, DROPS);
  const settings = { count: 500, sizes: '200,0,1444,10000' };
  const receiver = await startPeer(b, {
    program: 'openpgm-peer',
    role: 'receive',
    settings: { ...settings, network: `${b.address};${GROUP}` },
  });
  await until('the receiver has joined', async () => (await b.joinedCount(GROUP)) > 0);
  const sender = await startPeer(a, {
    program: 'openpgm-peer',
    role: 'send',
    settings: { ...settings, pace: 500, network: `${a.address};${GROUP}` },
  });
  const report = await receiver.report();
  assert.deepEqual([report.received, report.resets, report.firstWrong], [500, 0, '']);
  await sender.end();
  const dropped = await b.droppedCounts();
  assert.ok(dropped.every((count) => count > 0), `${dropped.join(', ')} packets dropped`);
});

test('ZeroMQ delivers to ZeroMQ across the network that drops packets', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop(5555, [{ percent: 5, how: 'counted' }]);
  const settings = { count: 500, sizes: '100,0,5000', topic: 'orders' };
  const subscriber = await startPeer(b, {
    program: 'zmq-peer',
    role: 'subscribe',
    settings: { ...settings, endpoint: `epgm://${b.address};${GROUP}:5555` },
  });
  await until('the subscriber has joined', async () => (await b.joinedCount(GROUP)) > 0);
  const publisher = await startPeer(a, {
    program: 'zmq-peer',
    role: 'publish',
    settings: { ...settings, pace: 500, endpoint: `epgm://${a.address};${GROUP}:5555` },
  });
  const report = await subscriber.report();
  assert.deepEqual([report.received, report.firstWrong], [500, '']);
  await publisher.end();
  const [dropped = 0] = await b.droppedCounts();
  assert.ok(dropped > 0);
});
