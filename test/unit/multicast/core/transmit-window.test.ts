import assert from 'node:assert/strict';
import test from 'node:test';
import { TransmitWindow } from '#multicast/core/transmit-window.ts';

const packet = (fill: number, bytes = 10): Uint8Array => new Uint8Array(bytes).fill(fill);

function filled(count: number, options: { packetsMax?: number; bytesMax?: number } = {}) {
  const window = new TransmitWindow({ firstSqn: 5, packetsMax: 4, bytesMax: 1_000, ...options });
  for (let n = 0; n < count; n += 1) window.push(packet(n), n + 2);
  return window;
}

test('an empty window has its trail one ahead of its lead', () => {
  const window = filled(0);
  assert.deepEqual([window.trail, window.lead, window.bytes], [5, 4, 0]);
  for (const sqn of [4, 5]) assert.equal(window.get(sqn), undefined);
});

test('pushing into a full window drops the oldest, never the newest', () => {
  for (const packetsMax of [2, 3, 4, 5]) {
    const window = filled(packetsMax + 1, { packetsMax });
    assert.deepEqual([window.trail, window.lead], [6, 5 + packetsMax], `${packetsMax}`);
    assert.equal(window.get(5), undefined);
    assert.deepEqual(window.get(6), packet(1));
    assert.deepEqual(window.get(window.lead), packet(packetsMax));
    assert.equal(window.bytes, 10 * packetsMax);
  }
});

test('a window that is exactly full has dropped nothing', () => {
  const window = filled(4);
  assert.deepEqual([window.trail, window.lead], [5, 8]);
  assert.deepEqual(window.get(5), packet(0));
});

test('bytes bound the window as packets do', () => {
  const window = filled(4, { bytesMax: 40 });
  assert.equal(window.trail, 5);
  window.push(packet(9, 25), 9);
  assert.deepEqual([window.trail, window.lead, window.bytes], [8, 9, 35]);
});

test('a packet larger than the whole bound is held alone', () => {
  const window = filled(3, { bytesMax: 40 });
  window.push(packet(9, 100), 9);
  assert.deepEqual([window.trail, window.lead, window.bytes], [8, 8, 100]);
});

test('each packet keeps the sequence that follows it', () => {
  const window = filled(6);
  const sequences = [7, 8, 9, 10].map((sqn) => window.nextSequenceAfter(sqn));
  assert.deepEqual(sequences, [4, 5, 6, 7]);
  assert.throws(() => window.nextSequenceAfter(6), /only a held packet/);
  assert.throws(() => window.nextSequenceAfter(11), /only a held packet/);
});

test('packet numbers beyond 32 bits find their slots', () => {
  const window = new TransmitWindow({ firstSqn: 2 ** 32 - 2, packetsMax: 4, bytesMax: 1_000 });
  for (let n = 0; n < 6; n += 1) window.push(packet(n), n);
  assert.deepEqual([window.trail, window.lead], [2 ** 32, 2 ** 32 + 3]);
  assert.deepEqual(window.get(2 ** 32), packet(2));
  assert.equal(window.get(2 ** 32 - 1), undefined);
});

test('a cleared window holds no bytes and goes on counting', () => {
  const window = filled(3);
  window.clear();
  assert.deepEqual([window.trail, window.lead, window.bytes], [8, 7, 0]);
});
