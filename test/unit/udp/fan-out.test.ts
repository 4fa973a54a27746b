// The fan-out before a socket that writes down what it is given.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedMembers, type MemberAddress } from '#base/mod.ts';
import { type DatagramSocket, FanOutSocket } from '#multicast/udp/mod.ts';

const PLACE = { group: '239.1.2.3', port: 7_600 };
const BYTES = Buffer.from('a packet');

interface Recorder {
  readonly socket: DatagramSocket;
  readonly sent: string[];
  isDisposed: boolean;
}

function recorder(): Recorder {
  const recording: Recorder = {
    sent: [],
    isDisposed: false,
    socket: {
      localAddress: '127.0.0.1',
      localPort: 40_000,
      counters: { sendErrors: 3, receiveErrors: 0 },
      onDatagram: () => undefined,
      send: (bytes, address, port) => {
        assert.equal(bytes, BYTES);
        recording.sent.push(`${address}:${port}`);
      },
      [Symbol.asyncDispose]: async () => {
        recording.isDisposed = true;
      },
    },
  };
  return recording;
}

const ignore = (): void => undefined;
const noChanges = (): Disposable => ({ [Symbol.dispose]: () => undefined });

test('what goes to the group goes to each member once and never to the group', () => {
  const { socket, sent } = recorder();
  const members = [
    { address: '10.0.0.1', port: 1_001 },
    { address: '10.0.0.2', port: 1_002 },
  ];
  new FanOutSocket(socket, PLACE, fixedMembers(members)).send(BYTES, PLACE.group, PLACE.port);
  assert.deepEqual(sent, ['10.0.0.1:1001', '10.0.0.2:1002']);
});

test('what goes elsewhere goes there, also to the group on another port', () => {
  const { socket, sent } = recorder();
  const fanOut = new FanOutSocket(socket, PLACE, fixedMembers([{ address: '10.0.0.1', port: 1 }]));
  fanOut.send(BYTES, '10.0.0.9', 5_000);
  fanOut.send(BYTES, PLACE.group, 7_601);
  assert.deepEqual(sent, ['10.0.0.9:5000', '239.1.2.3:7601']);
});

test('nobody gets anything while there are no members, and a new one from then on', () => {
  const { socket, sent } = recorder();
  const members = { current: [] as readonly MemberAddress[], watch: noChanges };
  const fanOut = new FanOutSocket(socket, PLACE, members);
  fanOut.send(BYTES, PLACE.group, PLACE.port);
  assert.deepEqual(sent, []);
  members.current = [{ address: '10.0.0.1', port: 1_001 }];
  fanOut.send(BYTES, PLACE.group, PLACE.port);
  assert.deepEqual(sent, ['10.0.0.1:1001']);
});

test('everything else is that of the socket behind it', async () => {
  const recording = recorder();
  const fanOut = new FanOutSocket(recording.socket, PLACE, fixedMembers([]));
  fanOut.onDatagram = ignore;
  assert.equal(recording.socket.onDatagram, ignore);
  assert.equal(fanOut.onDatagram, ignore);
  assert.deepEqual(
    [fanOut.localAddress, fanOut.localPort, fanOut.counters.sendErrors],
    ['127.0.0.1', 40_000, 3],
  );
  await fanOut[Symbol.asyncDispose]();
  assert.ok(recording.isDisposed);
});
