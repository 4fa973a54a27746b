import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import test from 'node:test';
import { BackcastError, type ErrorCode } from '#base/mod.ts';
import {
  openGroupSocket,
  openSendSocket,
  type DatagramSocket,
  type GroupSocketOptions,
} from '#multicast/udp/mod.ts';
import { hear, LOOPBACK, reserveGroup, type ReservedGroup } from '#test/support/multicast.ts';

const LIMITS = { timeout: 10_000 };

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function joinGroup({ group, port }: ReservedGroup): Promise<DatagramSocket> {
  return openGroupSocket({ group, port, interfaceAddress: LOOPBACK, receiveBufferBytes: 262_144 });
}

async function openSender(interfaceAddress = LOOPBACK): Promise<DatagramSocket> {
  return openSendSocket({ interfaceAddress, ttl: 1, sendBufferBytes: 262_144 });
}

async function isRefused(
  opening: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

test('every socket of a group hears what is sent to it, once, and from whom', LIMITS, async () => {
  await using reserved = await reserveGroup();
  await using one = await joinGroup(reserved);
  await using two = await joinGroup(reserved);
  await using sender = await openSender();
  const heard = Promise.all([hear(one, 2), hear(two, 2)]);
  sender.send(bytes('first'), reserved.group, reserved.port);
  sender.send(bytes('second'), reserved.group, reserved.port);
  const remote = { address: LOOPBACK, port: sender.localPort };
  const expected = [
    { text: 'first', remote },
    { text: 'second', remote },
  ];
  assert.deepEqual(await heard, [expected, expected]);
});

test('sockets of several processes hear the same group', LIMITS, async () => {
  await using reserved = await reserveGroup();
  await using here = await joinGroup(reserved);
  await using sender = await openSender();
  const listener = new URL('../../support/group-listener.ts', import.meta.url);
  const child = fork(listener, [reserved.group, String(reserved.port)]);
  try {
    assert.deepEqual(await once(child, 'message'), ['joined', undefined]);
    const heard = Promise.all([hear(here, 1), once(child, 'message')]);
    sender.send(bytes('to all'), reserved.group, reserved.port);
    const [[{ text }], [textOfChild]] = await heard;
    assert.deepEqual([text, textOfChild], ['to all', 'to all']);
  } finally {
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
  }
});

test('a datagram sent to a publisher alone is heard by that publisher alone', LIMITS, async () => {
  await using reserved = await reserveGroup();
  await using group = await joinGroup(reserved);
  await using one = await openSender();
  await using two = await openSender();
  const heardByOne = hear(one, 1);
  const heardByGroup = hear(group, 1);
  two.send(bytes('a NAK'), one.localAddress, one.localPort);
  assert.equal((await heardByOne)[0].text, 'a NAK');
  two.send(bytes('data'), reserved.group, reserved.port);
  assert.equal((await heardByGroup)[0].text, 'data');
});

test('a group is not heard by a socket of another group on the same port', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const other = { ...reserved, group: '239.254.1.1' };
  await using here = await joinGroup(reserved);
  await using elsewhere = await joinGroup(other);
  await using sender = await openSender();
  const heard = Promise.all([hear(here, 1), hear(elsewhere, 1)]);
  sender.send(bytes('elsewhere'), other.group, reserved.port);
  sender.send(bytes('here'), reserved.group, reserved.port);
  const [[hereFirst], [elsewhereFirst]] = await heard;
  assert.deepEqual([hereFirst.text, elsewhereFirst.text], ['here', 'elsewhere']);
});

test('the port is shared with a socket that has SO_REUSEPORT only', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const foreign = dgram.createSocket({ type: 'udp4', reusePort: true });
  try {
    foreign.bind({ address: reserved.group, port: reserved.port, exclusive: true });
    await once(foreign, 'listening');
    await using socket = await joinGroup(reserved);
    assert.equal(socket.localPort, reserved.port);
  } finally {
    foreign.close();
  }
});

test('a port that another program does not share is an error that names it', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const foreign = dgram.createSocket('udp4');
  try {
    foreign.bind({ address: reserved.group, port: reserved.port, exclusive: true });
    await once(foreign, 'listening');
    const message = new RegExp(`UDP port ${reserved.port} on ${reserved.group} belongs to another`);
    await isRefused(joinGroup(reserved), 'BACKCAST_PORT_IN_USE', message);
  } finally {
    foreign.close();
  }
});

// 203.0.113.0/24 is set aside for documentation: no host has such an address.
test(
  'an address that no interface has is an error that lists those there are',
  LIMITS,
  async () => {
    await using reserved = await reserveGroup();
    const message = /^203\.0\.113\.9 cannot be used for multicast .*127\.0\.0\.1 \(lo\)/;
    const interfaceAddress = '203.0.113.9';
    await isRefused(openSender(interfaceAddress), 'BACKCAST_INTERFACE_UNUSABLE', message);
    const options: GroupSocketOptions = {
      ...reserved,
      interfaceAddress,
      receiveBufferBytes: 65_536,
    };
    await isRefused(openGroupSocket(options), 'BACKCAST_INTERFACE_UNUSABLE', message);
  },
);

test('what cannot be sent is counted and not thrown', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const sender = await openSender();
  sender.send(new Uint8Array(65_508), reserved.group, reserved.port);
  sender.send(bytes('port 0'), reserved.group, 0);
  await new Promise(setImmediate);
  assert.equal(sender.counters.sendErrors, 2);
  await sender[Symbol.asyncDispose]();
  sender.send(bytes('after the end'), reserved.group, reserved.port);
  assert.equal(sender.counters.sendErrors, 3);
});

test('a socket can be disposed twice', LIMITS, async () => {
  const sender = await openSender();
  await sender[Symbol.asyncDispose]();
  await sender[Symbol.asyncDispose]();
});
