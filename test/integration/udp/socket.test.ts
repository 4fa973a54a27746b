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

test('of a group only the named sources are heard, several or one', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const group = `232.${reserved.group.slice(4)}`;
  const joining = { ...reserved, group, interfaceAddress: LOOPBACK, receiveBufferBytes: 262_144 };
  await using one = await openGroupSocket({ ...joining, sources: ['127.0.0.2'] });
  await using two = await openGroupSocket({ ...joining, sources: ['127.0.0.2', '127.0.0.3'] });
  const heard = Promise.all([hear(one, 1), hear(two, 2)]);
  for (const address of [LOOPBACK, '127.0.0.3', '127.0.0.2']) {
    await using sender = await openSender(address);
    sender.send(bytes(`from ${address}`), group, reserved.port);
    await new Promise(setImmediate);
  }
  const texts = (await heard).map((datagrams) => datagrams.map(({ text }) => text));
  assert.deepEqual(texts, [['from 127.0.0.2'], ['from 127.0.0.3', 'from 127.0.0.2']]);
});

test('sources that cannot be are an error, and none where the group needs them', async () => {
  await using reserved = await reserveGroup();
  const joining = { ...reserved, interfaceAddress: LOOPBACK, receiveBufferBytes: 65_536 };
  const code = 'BACKCAST_CONFIG_INVALID';
  await isRefused(
    openGroupSocket({ ...joining, group: '232.1.2.3' }),
    code,
    /232\.1\.2\.3 is for joins that name their sources.*--sources/,
  );
  const wrong = openGroupSocket({ ...joining, sources: ['fd00::1'] });
  await isRefused(wrong, code, /source fd00::1 is no IPv4 address/);
  const sources = Array.from({ length: 200 }, (_, index) => `127.0.1.${index}`);
  const many = openGroupSocket({ ...joining, sources });
  await isRefused(many, code, /more sources than this kernel takes.*igmp_max_msf/);
});

test('an interface can be named', LIMITS, async () => {
  await using reserved = await reserveGroup();
  const named = { ...reserved, interfaceAddress: 'lo', receiveBufferBytes: 65_536 };
  await using here = await openGroupSocket(named);
  await using sender = await openSender('lo');
  assert.equal(sender.localAddress, LOOPBACK);
  const heard = hear(here, 1);
  sender.send(bytes('by name'), reserved.group, reserved.port);
  assert.equal((await heard)[0].text, 'by name');
  await isRefused(
    openSender('nowhere0'),
    'BACKCAST_INTERFACE_UNUSABLE',
    /^nowhere0 cannot be used .*no interface has this address or name.*127\.0\.0\.1 \(lo\)/,
  );
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
