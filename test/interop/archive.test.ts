// What OpenPGM and ZeroMQ publish, archived: each message once, in the order of its publisher, also
// over a restart of the archiver, while the network drops packets.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { payloadOf, startArchiveOn } from '#test/support/archive-on-host.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createNetwork } from '#test/support/network.ts';
import { peerMessages } from '#test/support/peer-messages.ts';
import { startOpenpgmSender, startZmqPublisher } from '#test/support/peers.ts';

const FEED: ChannelAddress = { group: '239.192.9.1', port: 3_055, dport: 7_500, framing: 'raw' };
const QUOTES: ChannelAddress = { group: '239.192.9.2', port: 5_555, dport: 5_555, framing: 'zmq' };

test('what OpenPGM and ZeroMQ publish is archived once, also over a restart', async () => {
  await using network = await createNetwork();
  await using folder = await createTestFolder();
  const { a, b } = network;
  const channels = { feed: FEED, quotes: QUOTES };
  await b.drop([FEED.port, QUOTES.port], [{ percent: 5, how: 'random' }]);
  const archive = await startArchiveOn(b, folder.path, channels);
  const feedSizes = [200, 0, 1_444, 10_000];
  const quoteSizes = [100, 0, 2_000];
  const feed = await startOpenpgmSender(a, FEED, {
    count: 1_000,
    sizes: feedSizes,
    pace: 125,
    window: 20_000,
  });
  const quotes = await startZmqPublisher(a, QUOTES, {
    count: 5_000,
    sizes: quoteSizes,
    topic: 'quotes',
    pace: 500,
    recovery: 60_000,
  });
  await archive.history('quotes', 500);
  await archive.stop();
  const again = await startArchiveOn(b, folder.path, channels);
  const fed = await again.history('feed', 1_000);
  const quoted = await again.history('quotes', 5_000);
  assert.deepEqual(fed.map(payloadOf), peerMessages(1, 1_000, feedSizes));
  const bodies = peerMessages(1, 5_000, quoteSizes).map((body) => body.toString());
  assert.deepEqual(
    quoted.map(({ parts }) => parts.map((part) => payloadOf(part).toString())),
    bodies.map((body) => ['quotes', body]),
  );
  for (const lines of [fed, quoted]) {
    assert.ok(lines.every(({ kind }) => kind === 'message'));
    assert.equal(new Set(lines.map(({ session }) => session)).size, 1);
    assert.equal(new Set(lines.map(({ sequence }) => sequence)).size, lines.length);
  }
  await again.audit();
  await Promise.all([feed.end(), quotes.end()]);
  await again.stop();
  assert.ok((await b.droppedCounts()).every((count) => count > 0));
});
