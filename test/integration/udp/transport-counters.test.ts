// What is counted below the machines, counted from the outside: real sockets, real drops.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import {
  newTransportCounters,
  openPublisherTransport,
  openReceiverTransport,
} from '#multicast/udp/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { hear, LOOPBACK, reserveGroup, type ReservedGroup } from '#test/support/multicast.ts';
import { TRANSPORT } from '#test/support/packets.ts';
import { until } from '#test/support/until.ts';

const LIMITS = { timeout: 20_000 };
const DATAGRAM = new Uint8Array(1_400);

function addressOf({ group, port }: ReservedGroup): ChannelAddress {
  return { group, port, dport: 7_500, framing: 'native' };
}

test('what the kernel drops for want of a receive buffer is counted', LIMITS, async () => {
  await using reserved = await reserveGroup();
  await using resources = new AsyncDisposableStack();
  const opening = { address: addressOf(reserved), interfaceAddress: LOOPBACK };
  const receiver = await openReceiverTransport(resources, {
    ...opening,
    receiveBufferBytes: 4_096,
  });
  const publisher = await openPublisherTransport(resources, { ...opening, transport: TRANSPORT });
  const sentCount = 200;
  let heardCount = 0;
  receiver.group.onDatagram = () => {
    heardCount += 1;
  };
  // Nobody reads while these are sent: this thread sends them in one go.
  for (let sent = 0; sent < sentCount; sent += 1) {
    publisher.send.send(DATAGRAM, reserved.group, reserved.port);
  }
  await until('every datagram is heard or dropped', () => {
    const { kernelDropped } = receiver.count();
    return kernelDropped > 0 && kernelDropped + heardCount === sentCount;
  });
  assert.ok(heardCount > 0);
  assert.equal(publisher.count().kernelDropped, 0);
  assert.equal(publisher.count().sendErrors, 0);
});

test('faults and captures are counted over all sockets of a transport', LIMITS, async () => {
  await using folder = await createTestFolder();
  await using reserved = await reserveGroup();
  await using resources = new AsyncDisposableStack();
  const opening = { address: addressOf(reserved), interfaceAddress: LOOPBACK };
  const receiver = await openReceiverTransport(resources, {
    ...opening,
    receiveBufferBytes: 262_144,
    faults: 'receive-duplicate=1',
    capture: join(folder.path, 'heard.pcap'),
  });
  const publisher = await openPublisherTransport(resources, {
    ...opening,
    transport: TRANSPORT,
    faults: 'send-loss=1',
  });
  assert.deepEqual(receiver.count(), newTransportCounters());
  publisher.send.send(DATAGRAM, reserved.group, reserved.port);
  const heard = hear(receiver.group, 2);
  receiver.send.send(DATAGRAM, reserved.group, reserved.port);
  await heard;
  const none = newTransportCounters();
  assert.deepEqual(publisher.count(), { ...none, faultsDropped: 1 });
  assert.deepEqual(receiver.count(), { ...none, faultsDuplicated: 1, captured: 2 });
});

test('what the operating system will not send is counted', LIMITS, async () => {
  await using reserved = await reserveGroup();
  await using resources = new AsyncDisposableStack();
  const opening = { address: addressOf(reserved), interfaceAddress: LOOPBACK };
  const { send, count } = await openPublisherTransport(resources, {
    ...opening,
    transport: TRANSPORT,
  });
  send.send(new Uint8Array(70_000), reserved.group, reserved.port);
  await until('the error is counted', () => count().sendErrors === 1);
});
