import assert from 'node:assert/strict';
import test from 'node:test';
import { RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';
import { type HeldPacket, ReceiveWindow } from '#multicast/core/receive-window.ts';

function packet(sequence: number): HeldPacket {
  return {
    bytes: new Uint8Array(0),
    start: 0,
    end: 0,
    sequence,
    fragment: undefined,
    isRepair: false,
  };
}

test('a packet that is held is released once', () => {
  const window = new ReceiveWindow();
  assert.equal(window.release(8), undefined);
  window.hold(8, 7, packet(1));
  assert.equal(window.count, 1);
  assert.equal(window.release(7), undefined);
  assert.equal(window.release(8)?.sequence, 1);
  assert.equal(window.release(8), undefined);
  assert.equal(window.count, 0);
});

test('the window reaches as far as its bound and no further', () => {
  const window = new ReceiveWindow();
  const next = 100;
  const last = next + RECEIVE_WINDOW_PACKETS_MAX - 1;
  assert.deepEqual([window.reaches(last, next), window.reaches(last + 1, next)], [true, false]);
  window.hold(last, next, packet(3));
  assert.throws(() => window.hold(last + 1, next, packet(4)), /within reach/);
  assert.equal(window.release(last)?.sequence, 3);
});

test('what is held is found again, also across the 32-bit wrap', () => {
  for (const next of [0, 1, 63, 2 ** 32 - 3, 2 ** 32 + 5]) {
    const window = new ReceiveWindow();
    const held = [1, 2, 63, 64, 65, 127, 128, 1_000, 5_000].map((ahead) => next + ahead);
    for (const sqn of held) window.hold(sqn, next, packet(sqn));
    assert.deepEqual(
      held.map((sqn) => window.release(sqn)?.sequence),
      held,
    );
    assert.equal(window.count, 0);
  }
});

test('packets come and go in a long stream', () => {
  const window = new ReceiveWindow();
  for (let sqn = 1; sqn < 1_000; sqn += 1) {
    window.hold(sqn + 40, sqn, packet(sqn + 40));
    assert.equal(window.release(sqn)?.sequence, sqn > 40 ? sqn : undefined);
  }
});

test('a packet far behind a hole takes no more memory than a near one', () => {
  const before = process.memoryUsage().heapUsed;
  const windows = Array.from({ length: 64 }, () => new ReceiveWindow());
  for (const window of windows) window.hold(RECEIVE_WINDOW_PACKETS_MAX, 1, packet(1));
  const takenBytes = process.memoryUsage().heapUsed - before;
  assert.ok(takenBytes < 16 * 1_048_576, `${takenBytes} bytes for ${windows.length} packets`);
  for (const window of windows) assert.equal(window.count, 1);
});
