// IPv6 groups on real sockets.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { BackcastError, type ErrorCode } from '#base/mod.ts';
import {
  CaptureFile,
  openGroupSocket,
  openPublisherTransport,
  openReceiverTransport,
  openSendSocket,
  packetBytesOf,
  resolveInterface,
  type DatagramSocket,
  type GroupSocketOptions,
} from '#multicast/udp/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { hear } from '#test/support/multicast.ts';
import { testInNamespace } from '#test/support/namespace.ts';
import { TRANSPORT } from '#test/support/packets.ts';
import { until } from '#test/support/until.ts';

const PORT = 20_007;
const LIMITS = { timeout: 10_000 };
const SENT = 50;
const MANY = 200;

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function join(
  group: string,
  interfaceAddress: string,
  options: Partial<GroupSocketOptions> = {},
): Promise<DatagramSocket> {
  const receiveBufferBytes = 262_144;
  return openGroupSocket({ group, port: PORT, interfaceAddress, receiveBufferBytes, ...options });
}

async function openSender(group: string, interfaceAddress: string): Promise<DatagramSocket> {
  return openSendSocket({ group, interfaceAddress, ttl: 1, sendBufferBytes: 262_144 });
}

async function isRefused(
  opening: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof BackcastError);
    assert.match(error.message, message);
    assert.equal(error.code, code);
    return true;
  });
}

/** Packets that have left through an interface so far, the kernel's own among them. */
function packetsLeft(name: string): number {
  const text = execFileSync('ip', ['-j', '-s', 'link', 'show', name], { encoding: 'utf8' });
  const [link] = JSON.parse(text) as { stats64: { tx: { packets: number } } }[];
  return link?.stats64.tx.packets ?? Number.NaN;
}

function defineDelivery(): void {
  test(
    'every socket of an IPv6 group hears what is sent to it, and from whom',
    LIMITS,
    async () => {
      const group = 'ff15::1:7';
      for (const choice of ['::1', 'lo', '127.0.0.1']) {
        await using one = await join(group, choice);
        await using two = await join(group, choice);
        await using sender = await openSender(group, choice);
        const heard = Promise.all([hear(one, 1), hear(two, 1)]);
        sender.send(bytes(choice), group, PORT);
        const remote = { address: sender.localAddress, port: sender.localPort };
        const expected = [{ text: choice, remote }];
        assert.deepEqual(await heard, [expected, expected]);
        assert.equal(one.localAddress, group);
        if (choice === '::1') assert.equal(sender.localAddress, '::1');
      }
    },
  );

  test('a group of one link is joined, sent to and answered on that link', LIMITS, async () => {
    await using folder = await createTestFolder();
    for (const group of ['ff02::7:7', 'ff12::1:7']) {
      await using capture = await CaptureFile.open(path.join(folder.path, 'link.pcap'));
      await using here = capture.watch(await join(group, 'wire0'));
      await using publisher = await openSender(group, 'fe80::7%wire0');
      await using receiver = await openSender(group, 'wire0');
      assert.deepEqual([here.localAddress, publisher.localAddress], [group, 'fe80::7']);
      const heard = hear(here, 1);
      publisher.send(bytes('data'), group, PORT);
      const [{ text, remote }] = await heard;
      assert.deepEqual([text, remote.address], ['data', 'fe80::7%wire0']);
      const asked = hear(publisher, 2);
      receiver.send(bytes('to its address'), publisher.localAddress, publisher.localPort);
      receiver.send(bytes('to where it came from'), remote.address, remote.port);
      const texts = (await asked).map((datagram) => datagram.text);
      assert.deepEqual(texts, ['to its address', 'to where it came from']);
      assert.deepEqual(
        [capture.counters.capturedDatagrams, capture.counters.omittedDatagrams],
        [1, 0],
      );
    }
  });

  test('a wide group is sent to from a wide address where the interface has one', LIMITS, () => {
    assert.equal(resolveInterface('wire0', 'ff15::1:7').address, 'fd77::1');
    assert.equal(resolveInterface('fd77::1', 'ff15::1:7').address, 'fd77::1');
    assert.equal(resolveInterface('fe80::7', 'ff15::1:7').address, 'fe80::7%wire0');
    assert.equal(resolveInterface('10.77.0.1', 'ff12::1:7').address, 'fe80::7%wire0');
    assert.equal(resolveInterface('fd77::1', '239.0.0.1').address, '10.77.0.1');
  });

  test('packets are as large as the interface carries, less for the longer headers', () => {
    assert.equal(packetBytesOf('wire0', '239.0.0.1'), 1_472);
    assert.equal(packetBytesOf('wire0', 'ff15::1'), 1_452);
    assert.equal(packetBytesOf('lo', 'ff15::1'), 8_952);
  });
}

function defineLimits(): void {
  test('what the kernel drops for want of a receive buffer is counted', LIMITS, async () => {
    await using resources = new AsyncDisposableStack();
    const place = { group: 'ff15::1:7', port: PORT };
    const address = { ...place, dport: 7_500, framing: 'native' } as const;
    const opening = { address, interfaceAddress: '::1', receiveBufferBytes: 4_096 };
    const receiver = await openReceiverTransport(resources, opening);
    const { send } = await openPublisherTransport(resources, { ...opening, transport: TRANSPORT });
    let heardCount = 0;
    receiver.group.onDatagram = () => {
      heardCount += 1;
    };
    // Nobody reads while these are sent: this thread sends them in one go.
    for (let sent = 0; sent < MANY; sent += 1) send.send(new Uint8Array(1_400), place.group, PORT);
    await until('every datagram is heard or dropped', () => {
      const { kernelDropped } = receiver.count();
      return kernelDropped > 0 && kernelDropped + heardCount === MANY;
    });
  });

  test('an interface without an address of the family is told with those there are', async () => {
    const message = /^wire1 cannot be used .*no interface has .*fd77::1 \(wire0\)/;
    await isRefused(openSender('ff15::1', 'wire1'), 'BACKCAST_INTERFACE_UNUSABLE', message);
    execFileSync('ip', ['addr', 'add', '10.78.0.1/24', 'dev', 'wire1']);
    const lacking = /wire1 has no IPv6 address, which ff15::1 needs/;
    await isRefused(join('ff15::1', 'wire1'), 'BACKCAST_INTERFACE_UNUSABLE', lacking);
    await isRefused(join('ff15::1', '10.78.0.1'), 'BACKCAST_INTERFACE_UNUSABLE', lacking);
  });

  test('where no route leads, opening fails with the command that adds it', LIMITS, async () => {
    const route = ['ff00::/8', 'dev', 'lo', 'table', 'local'];
    execFileSync('ip', ['-6', 'route', 'del', 'local', ...route]);
    const message = /`ip -6 route add local ff00::\/8 dev lo table local` adds it/;
    await isRefused(openSender('ff15::1', '::1'), 'BACKCAST_INTERFACE_UNUSABLE', message);
    execFileSync('ip', ['-6', 'route', 'add', 'local', ...route]);
    await using _sender = await openSender('ff15::1', '::1');
  });

  test(
    'with a time-to-live of 0 multicast stays on the host, with 1 it leaves',
    LIMITS,
    async () => {
      for (const [group, interfaceAddress] of [
        ['239.255.7.7', '10.77.0.1'],
        ['ff15::1:7', 'fd77::1'],
      ] as const) {
        for (const ttl of [0, 1]) {
          await using here = await join(group, interfaceAddress);
          const sending = { group, interfaceAddress, ttl, sendBufferBytes: 262_144 };
          await using sender = await openSendSocket(sending);
          const before = packetsLeft('wire0');
          const heard = hear(here, SENT);
          for (let sent = 0; sent < SENT; sent += 1) sender.send(bytes('x'), group, PORT);
          assert.equal((await heard).length, SENT);
          const left = packetsLeft('wire0') - before;
          const isRight = ttl === 0 ? left < SENT / 2 : left >= SENT;
          assert.ok(isRight, `${left} of ${SENT} packets left with ${ttl}`);
        }
      }
    },
  );
}

function defineSources(): void {
  test('of an IPv6 group only the named sources are heard', LIMITS, async () => {
    for (const group of ['ff35::8000:7', 'ff15::1:7']) {
      await using picky = await join(group, 'lo', { sources: ['fd00::2'] });
      await using other = await openSender(group, 'fd00::1');
      await using named = await openSender(group, 'fd00::2');
      const heard = hear(picky, 1);
      other.send(bytes('from another'), group, PORT);
      named.send(bytes('from the named one'), group, PORT);
      assert.equal((await heard)[0].text, 'from the named one');
    }
  });
}

/**
 * Without a network of its own: it works where the machine has IPv6 and the route, or says what
 * lacks.
 */
async function otherwise(): Promise<void> {
  try {
    await using _sender = await openSender('ff15::1:7', '::1');
  } catch (error) {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_INTERFACE_UNUSABLE');
  }
}

testInNamespace({
  file: import.meta.filename,
  define: () => {
    defineDelivery();
    defineLimits();
    defineSources();
  },
  otherwise,
});
