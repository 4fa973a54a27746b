// Behind the injector stands a socket that keeps what it is given; only the real one needs a
// network.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BackcastError } from '#base/mod.ts';
import {
  injectFaults,
  NO_FAULTS,
  parseFaultSpec,
  type DatagramSocket,
  type FaultSpec,
} from '#multicast/udp/mod.ts';
import { DOCUMENTED_PACKETS } from '#test/support/packets.ts';

interface Recorder extends DatagramSocket {
  readonly sent: Uint8Array[];
  isDisposed: boolean;
}

function recorder(): Recorder {
  const sent: Uint8Array[] = [];
  return {
    localAddress: '127.0.0.1',
    localPort: 4_711,
    counters: { sendErrors: 0, receiveErrors: 0 },
    onDatagram: () => undefined,
    sent,
    isDisposed: false,
    send: (bytes) => void sent.push(bytes),
    async [Symbol.asyncDispose]() {
      this.isDisposed = true;
    },
  };
}

const REMOTE = { address: '127.0.0.1', port: 4_712 };
const GARBAGE = new Uint8Array(3);

/** Which of `count` numbered datagrams come out of an injector with `spec`, in each direction. */
function survivors(spec: FaultSpec, count: number): { sent: number[]; received: number[] } {
  const socket = recorder();
  const faulty = injectFaults(socket, spec);
  const received: number[] = [];
  faulty.onDatagram = (bytes) => received.push(bytes[0] * 256 + bytes[1]);
  for (let i = 0; i < count; i += 1) {
    const datagram = Uint8Array.from([i >> 8, i]);
    faulty.send(datagram, '239.255.0.1', 5_000);
    socket.onDatagram(datagram, REMOTE);
  }
  return { sent: socket.sent.map((bytes) => bytes[0] * 256 + bytes[1]), received };
}

test('without faults everything passes once', () => {
  const { sent, received } = survivors(NO_FAULTS, 100);
  const all = Array.from({ length: 100 }, (_, i) => i);
  assert.deepEqual(sent, all);
  assert.deepEqual(received, all);
});

test('losses are as frequent as asked, in each direction on its own', () => {
  const spec = { ...NO_FAULTS, sendLoss: 0.05, receiveLoss: 0.2, seed: 7 };
  const { sent, received } = survivors(spec, 20_000);
  assert.ok(Math.abs(sent.length - 19_000) < 200, `${sent.length} sent`);
  assert.ok(Math.abs(received.length - 16_000) < 350, `${received.length} received`);
});

test('the same seed gives the same faults, another seed others', () => {
  const spec = { ...NO_FAULTS, sendLoss: 0.1, receiveDuplicate: 0.1, seed: 7 };
  assert.deepEqual(survivors(spec, 1_000), survivors(spec, 1_000));
  assert.notDeepEqual(survivors(spec, 1_000), survivors({ ...spec, seed: 8 }, 1_000));
});

test('what is sent does not change the faults of what is received', () => {
  const spec = { ...NO_FAULTS, sendLoss: 0.5, receiveLoss: 0.5, seed: 7 };
  const socket = recorder();
  const faulty = injectFaults(socket, spec);
  const received: number[] = [];
  faulty.onDatagram = (bytes) => received.push(bytes[0] * 256 + bytes[1]);
  for (let i = 0; i < 100; i += 1) socket.onDatagram(Uint8Array.from([0, i]), REMOTE);
  assert.deepEqual(received, survivors(spec, 100).received);
});

test('duplicates arrive twice, one right behind the other', () => {
  const { sent, received } = survivors({ ...NO_FAULTS, receiveDuplicate: 1 }, 3);
  assert.deepEqual(sent, [0, 1, 2]);
  assert.deepEqual(received, [0, 0, 1, 1, 2, 2]);
});

test('faults can be kept to some kinds of packets, and are counted by kind', () => {
  const socket = recorder();
  const faulty = injectFaults(socket, { ...NO_FAULTS, sendLoss: 1, kinds: ['odata', 'malformed'] });
  for (const make of Object.values(DOCUMENTED_PACKETS)) faulty.send(make(), '239.255.0.1', 5_000);
  faulty.send(GARBAGE, '239.255.0.1', 5_000);
  assert.equal(socket.sent.length, 4);
  const { dropped, duplicated } = faulty.faults;
  assert.deepEqual([dropped.send.odata, dropped.send.malformed, dropped.send.spm], [1, 1, 0]);
  assert.equal(dropped.receive.odata, 0);
  assert.equal(duplicated.send.odata, 0);
});

test('a script can decide instead of chance', () => {
  const { sent, received } = survivors(
    { ...NO_FAULTS, sendLoss: 1, drop: (bytes, direction) => direction === 'send' && bytes[1] < 2 },
    4,
  );
  assert.deepEqual(sent, [2, 3]);
  assert.deepEqual(received, [0, 1, 2, 3]);
});

test('an injector stands for its socket', async () => {
  const socket = recorder();
  const faulty = injectFaults(socket, NO_FAULTS);
  assert.deepEqual([faulty.localAddress, faulty.localPort], ['127.0.0.1', 4_711]);
  assert.equal(faulty.counters, socket.counters);
  await faulty[Symbol.asyncDispose]();
  assert.equal(socket.isDisposed, true);
});

test('a spec names its faults', () => {
  assert.deepEqual(parseFaultSpec('receive-loss=0.05,send-loss=0.1,seed=7'), {
    ...NO_FAULTS,
    receiveLoss: 0.05,
    sendLoss: 0.1,
    seed: 7,
  });
  const all = 'receive-duplicate=0.01, send-duplicate=1, kinds=odata+rdata';
  assert.deepEqual(parseFaultSpec(all), {
    ...NO_FAULTS,
    receiveDuplicate: 0.01,
    sendDuplicate: 1,
    kinds: ['odata', 'rdata'],
  });
});

const WRONG_SPECS: readonly [text: string, message: RegExp][] = [
  ['', /"" is not a fault; possible are receive-loss, .*seed, kinds/],
  ['loss=0.1', /"loss=0.1" is not a fault/],
  ['toString=1', /"toString=1" is not a fault/],
  ['receive-loss=1.5', /"receive-loss=1.5" needs a chance from 0 to 1/],
  ['receive-loss=-0.1', /needs a chance/],
  ['receive-loss=', /needs a chance/],
  ['receive-loss', /needs a chance/],
  ['send-loss=5%', /needs a chance/],
  ['seed=seven', /"seed=seven" needs a whole number/],
  ['seed=1.5', /needs a whole number/],
  ['receive-loss=0.1,kinds=odata+data', /names "data"; kinds of packets are spm, odata/],
];

for (const [text, message] of WRONG_SPECS) {
  test(`the spec "${text}" is refused with what is possible`, () => {
    assert.throws(
      () => parseFaultSpec(text),
      (error) =>
        error instanceof BackcastError &&
        error.code === 'BACKCAST_USAGE' &&
        message.test(error.message),
    );
  });
}
