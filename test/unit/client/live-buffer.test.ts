// What a buffer holds is what it says: what slid out of it can be collected, and is not only
// counted as gone.

import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SessionId } from '#base/mod.ts';
import { LiveBuffer } from '#client/merge-live-buffer.ts';
import type { LiveRun } from '#client/merge-told.ts';

const SESSION = '00000000000000a1' as SessionId;
const COUNT = 100;

function entry(sequence: number): LiveRun {
  const bytes = new Uint8Array(1_000);
  const range = { first: sequence, last: sequence, start: 0, end: bytes.length };
  const came = { arrivedAtUs: 1, isRepaired: false };
  return { kind: 'messages', session: SESSION, ...range, bytes, ...came };
}

test('what slid out of the buffer is held by nobody', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const buffer = new LiveBuffer();
  const held: WeakRef<LiveRun>[] = [];
  for (let sequence = 1; sequence <= COUNT; sequence += 1) {
    const pushed = entry(sequence);
    held.push(new WeakRef(pushed));
    buffer.push(pushed);
  }
  const slid = buffer.slide(buffer.bytes / 2);
  // Behind the turn of the loop in which they were made: until then references count as used.
  await stat('/');
  collect();
  const left = held.filter((one) => one.deref() !== undefined).length;
  assert.equal(left, COUNT - slid);
  assert.ok(slid >= COUNT / 2 && buffer.bytes > 0);
});
