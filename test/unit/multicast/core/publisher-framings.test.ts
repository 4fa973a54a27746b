// A publisher in the framings raw and zmq: what it sends for which message, and when.

import assert from 'node:assert/strict';
import test from 'node:test';
import { AssertionError } from '#base/mod.ts';
import type { PublisherOptions } from '#multicast/core/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import { AT_US, drain, newPublisher, run } from '#test/support/driven-publisher.ts';
import { readPacket } from '#test/support/packets.ts';
import { CHANNEL, hear, nakPacket } from '#test/support/session-packets.ts';

const RAW: Partial<PublisherOptions> = { address: { ...CHANNEL, framing: 'raw' } };
const ZMQ: Partial<PublisherOptions> = { address: { ...CHANNEL, framing: 'zmq' } };

test('a raw message leaves at once, since no other can share its packet', () => {
  const publisher = newPublisher({ ...RAW, flushMs: 50 });
  for (const bytes of [10, 0]) publisher.publish(new Uint8Array(bytes), AT_US, 0);
  assert.deepEqual(
    drain(publisher).filter((text) => text.startsWith('odata')),
    ['odata 0', 'odata 1'],
  );
});

test('small messages of zmq wait for each other and share a packet', () => {
  const publisher = newPublisher({ ...ZMQ, flushMs: 5 });
  const message = zmqMessage([new Uint8Array(20)]);
  for (let n = 0; n < 3; n += 1) publisher.publish(message, AT_US, 0);
  assert.deepEqual(run(publisher, 4), []);
  assert.deepEqual(run(publisher, 5), ['odata 0']);
});

test('a raw message of more than 16 packets is too large', () => {
  const publisher = newPublisher({ ...RAW, messageBytesMax: 10_000, windowPackets: 128 });
  const largest = 16 * (300 - 64);
  assert.equal(publisher.publish(new Uint8Array(largest + 1), AT_US, 0), 'too_large');
  assert.equal(publisher.publish(new Uint8Array(largest), AT_US, 0), 'accepted');
  assert.equal(run(publisher, 10).length, 16);
});

test('a large message of zmq takes packets of its own, without fragments', () => {
  const publisher = newPublisher(ZMQ);
  publisher.publish(zmqMessage([new Uint8Array(600)]), AT_US, 0);
  const sequences: number[] = [];
  for (let next = publisher.pollTransmit(); next !== undefined; next = publisher.pollTransmit()) {
    const packet = readPacket(next.bytes);
    if (packet.kind !== 'odata') continue;
    assert.equal(packet.hasFragment, false);
    sequences.push(packet.sequence);
  }
  assert.deepEqual(sequences, [1, 2, 2]);
});

test('what is not the frames of one message never gets as far as the network', () => {
  const publisher = newPublisher(ZMQ);
  assert.throws(() => publisher.publish(Buffer.from('hello'), AT_US, 0), AssertionError);
});

test('repairs of these framings are asked for and sent like any other', () => {
  const publisher = newPublisher(RAW);
  for (let n = 0; n < 3; n += 1) publisher.publish(new Uint8Array(10), AT_US, 0);
  run(publisher, 10);
  hear(publisher, 11, nakPacket([1]));
  assert.deepEqual(run(publisher, 12), ['ncf 1', 'rdata 1']);
});
