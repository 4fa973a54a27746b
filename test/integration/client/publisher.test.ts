// The embedded publisher on real sockets, heard by a real subscriber.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher, type OpenPublisherOptions } from '#client/mod.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

/** A window that three messages of MESSAGE_BYTES_MAX fill by half, and a rate that is slow. */
const MESSAGE_BYTES_MAX = 1_000;
const SLOW: Omit<OpenPublisherOptions, 'address'> = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: MESSAGE_BYTES_MAX,
  windowPackets: 8,
  windowBytes: 16_384,
  rateBytesPerSec: 50_000,
  flushMs: 0,
  lingerMs: 1,
};
const PAYLOAD = Buffer.alloc(MESSAGE_BYTES_MAX, 'x');

interface Open extends AsyncDisposable {
  readonly address: ChannelAddress;
}

async function channel(): Promise<Open> {
  const { group, port, [Symbol.asyncDispose]: dispose } = await reserveGroup();
  const address: ChannelAddress = { group, port, dport: 7_500, framing: 'native' };
  return { address, [Symbol.asyncDispose]: dispose };
}

/** A socket that was closed goes with the next turn of the event loop. */
async function onlyTheChannelIsOpen(): Promise<void> {
  await until('one socket is open', () => openSocketCount() === 1);
}

function fill(publisher: ChannelPublisher): void {
  while (publisher.tryPublish(PAYLOAD));
}

test('sequences count from 1, and the last one is known', async () => {
  await using open = await channel();
  await using publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  assert.equal(publisher.lastSequence, 0);
  assert.equal(await publisher.publish(PAYLOAD), 1);
  assert.equal(await publisher.publish(PAYLOAD), 2);
  assert.equal(publisher.lastSequence, 2);
});

test('a full window makes publish wait until there is room, and not longer', async () => {
  await using open = await channel();
  await using publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  fill(publisher);
  const accepted = publisher.lastSequence;
  assert.equal(await publisher.publish(PAYLOAD), accepted + 1);
  assert.ok(publisher.counters.blocked > 0);
});

test('writable resolves at once where nothing is blocked, or came free unheard', async () => {
  await using open = await channel();
  await using publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  await publisher.writable();
  fill(publisher);
  await publisher.writable();
  await publisher.writable();
  assert.equal(publisher.tryPublish(PAYLOAD), true);
});

test('a publish that waits while the publisher closes is refused', async () => {
  await using open = await channel();
  const publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  fill(publisher);
  const accepted = publisher.lastSequence;
  const waiting = assert.rejects(publisher.publish(PAYLOAD), { code: 'BACKCAST_PUBLISHER_CLOSED' });
  await publisher.close();
  await waiting;
  assert.equal(publisher.counters.packetsSent, accepted);
});

test('closing twice, at once or later, is closing', async () => {
  await using open = await channel();
  const publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  await Promise.all([publisher.close(), publisher.close()]);
  await onlyTheChannelIsOpen();
  await publisher.close();
  assert.throws(() => publisher.tryPublish(PAYLOAD), { code: 'BACKCAST_PUBLISHER_CLOSED' });
});

test('a message too large is refused with both sizes, and the next one is taken', async () => {
  await using open = await channel();
  await using publisher = await ChannelPublisher.open({ ...SLOW, ...open });
  await assert.rejects(publisher.publish(Buffer.alloc(MESSAGE_BYTES_MAX + 1)), {
    code: 'BACKCAST_MESSAGE_TOO_LARGE',
    message: /1001 bytes; at most 1000/,
  });
  assert.equal(await publisher.publish(PAYLOAD), 1);
});

test('what cannot be opened leaves no socket behind', async () => {
  await using open = await channel();
  const refused: readonly [Partial<OpenPublisherOptions>, string][] = [
    [{ faults: 'rain=1' }, 'BACKCAST_USAGE'],
    [{ windowPackets: 1 }, 'BACKCAST_CONFIG_INVALID'],
    [{ windowPackets: 10_000_000 }, 'BACKCAST_CONFIG_INVALID'],
    [{ interfaceAddress: '203.0.113.9' }, 'BACKCAST_INTERFACE_UNUSABLE'],
  ];
  for (const [options, code] of refused) {
    await assert.rejects(ChannelPublisher.open({ ...SLOW, ...open, ...options }), { code });
  }
  await onlyTheChannelIsOpen();
});
