import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataPacket, hear, newReceiver } from '#test/support/session-packets.ts';

/** A data packet whose one message has the sequence `sqn` + 1. */
const plain = (sqn: number): Uint8Array => dataPacket({ sqn, sequence: sqn + 1 });

test('messages that had to be sent again say so, and those that only waited do not', () => {
  const receiver = newReceiver();
  const repair = dataPacket({ sqn: 1, sequence: 2, isRepair: true });
  hear(receiver, 0, plain(0), plain(2), repair, plain(3));
  const repaired: (readonly [number, boolean])[] = [];
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent())
    if (event.kind === 'messages') repaired.push([event.firstSequence, event.isRepaired === true]);
  assert.deepEqual(repaired, [
    [1, false],
    [2, true],
    [3, false],
    [4, false],
  ]);
});
