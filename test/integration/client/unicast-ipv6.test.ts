// A channel of unicast delivery by IPv6, on the loopback interface and between addresses of a link.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BackcastError, type ChannelAddress, fixedMembers, type MemberAddress } from '#base/mod.ts';
import { ChannelPublisher, ChannelSubscriber } from '#client/mod.ts';
import { testInNamespace } from '#test/support/namespace.ts';

const ADDRESS: ChannelAddress = {
  group: 'ff15::1:9',
  port: 20_009,
  dport: 7_500,
  framing: 'native',
  delivery: 'unicast',
};

/** One message by `interfaceAddress`, and where it was heard. */
async function heardAt(interfaceAddress: string): Promise<MemberAddress> {
  const at = Promise.withResolvers<MemberAddress>();
  await using subscriber = await ChannelSubscriber.open({
    address: ADDRESS,
    interfaceAddress,
    receiveBufferBytes: 262_144,
    messageBytesMax: 10_000,
    repairTimeoutMs: 20_000,
    sourceExpiryMs: 30_000,
    faults: 'receive-loss=0.3,kinds=odata,seed=5',
    unicast: { join: async (place) => at.resolve(place) as undefined },
  });
  const place = await at.promise;
  await using publisher = await ChannelPublisher.open({
    address: ADDRESS,
    interfaceAddress,
    packetBytesMax: 1_232,
    messageBytesMax: 10_000,
    windowPackets: 1_024,
    windowBytes: 1_048_576,
    rateBytesPerSec: 25_000_000,
    flushMs: 1,
    lingerMs: 500,
    unicast: { members: fixedMembers([place]) },
  });
  for (let number = 0; number < 50; number += 1) await publisher.publish(Buffer.alloc(1_000));
  for await (const live of subscriber) {
    assert.notEqual(live.kind, 'lost');
    if (live.kind === 'message' && live.sequence === 50) break;
  }
  assert.ok(subscriber.counters.repairsReceived > 0);
  return place;
}

testInNamespace({
  file: import.meta.filename,
  define: () => {
    test('members are reached and repaired by IPv6', { timeout: 20_000 }, async () => {
      assert.equal((await heardAt('::1')).address, '::1');
      assert.equal((await heardAt('fd77::1')).address, 'fd77::1');
    });
  },
  otherwise: async () => {
    try {
      assert.equal((await heardAt('::1')).address, '::1');
    } catch (error) {
      assert.ok(error instanceof BackcastError);
      assert.equal(error.code, 'BACKCAST_INTERFACE_UNUSABLE');
    }
  },
});
