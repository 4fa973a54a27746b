import assert from 'node:assert/strict';
import test from 'node:test';
import { type Framing, MESSAGE_BYTES_DEFAULT_MAX, PACKET_BYTES_DEFAULT } from '#base/mod.ts';
import { largestMessageBytes, smallestWindow } from '#multicast/core/mod.ts';

test('the smallest window holds the largest message twice', () => {
  const rows: [messageBytesMax: number, packetBytesMax: number, packets: number][] = [
    [0, 256, 2],
    [1, 256, 2],
    [180, 256, 2],
    [181, 256, 4],
    [MESSAGE_BYTES_DEFAULT_MAX, PACKET_BYTES_DEFAULT, 2 * 745],
  ];
  for (const [messageBytesMax, packetBytesMax, packets] of rows) {
    const smallest = smallestWindow({ messageBytesMax, packetBytesMax });
    assert.equal(smallest.packets, packets, `${messageBytesMax}`);
    assert.ok(
      smallest.bytes > 2 * messageBytesMax && smallest.bytes <= (packets + 2) * packetBytesMax,
    );
  }
});

test('a raw message is held to what OpenPGM receives: 16 fragments and 65,535 bytes', () => {
  const rows: [messageBytesMax: number, packetBytesMax: number, largest: number][] = [
    [1_000_000, PACKET_BYTES_DEFAULT, 16 * 1_408],
    [1_000_000, 8_972, 65_535],
    [500, PACKET_BYTES_DEFAULT, 500],
  ];
  const place = { group: '239.255.0.1', port: 7_500, dport: 7_500 };
  for (const [messageBytesMax, packetBytesMax, largest] of rows) {
    const largestOf = (framing: Framing): number =>
      largestMessageBytes({ address: { ...place, framing }, messageBytesMax, packetBytesMax });
    assert.equal(largestOf('raw'), largest);
    assert.equal(largestOf('native'), messageBytesMax);
    assert.equal(largestOf('zmq'), messageBytesMax);
  }
});
