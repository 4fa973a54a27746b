import assert from 'node:assert/strict';
import test from 'node:test';
import { MESSAGE_BYTES_DEFAULT_MAX, PACKET_BYTES_DEFAULT } from '#base/mod.ts';
import { smallestWindow } from '#multicast/core/mod.ts';

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
