// The ring against a list that forgets nothing: a reader gets every chunk in order, or is told that
// one is gone, and never more is held than was agreed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type TailChunk, TailRing } from '#replay-api/tail-ring.ts';

const BYTES_MAX = 100;

const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('push'), size: fc.nat(60) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('read'), size: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear'), size: fc.constant(0) }) },
);

function chunkOf(position: number, size: number): TailChunk {
  return { bytes: Buffer.alloc(size), place: { position, told: new Set() } };
}

test('a reader gets every chunk in order, or is told that it is gone', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ring = new TailRing(BYTES_MAX);
      const pushed = new Map<number, TailChunk>();
      let number = ring.nextNumber;
      for (const { kind, size } of steps) {
        if (kind === 'clear') ring.clear();
        if (kind === 'push') {
          const chunk = chunkOf(pushed.size + 1, size);
          pushed.set(ring.nextNumber, chunk);
          ring.push(chunk);
        }
        const readCount = kind === 'read' ? size : 0;
        for (let count = 0; count < readCount; count += 1) {
          const found = ring.at(number);
          if (found === 'later') {
            assert.equal(number, ring.nextNumber);
            break;
          }
          if (found === 'gone') {
            number = ring.nextNumber;
            break;
          }
          assert.equal(found, pushed.get(number));
          number += 1;
        }
      }
    }),
  );
});

test('no more is held than was agreed, but the last chunk in any case', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(150), { minLength: 1, maxLength: 100 }), (sizes) => {
      const ring = new TailRing(BYTES_MAX);
      for (const [index, size] of sizes.entries()) {
        ring.push(chunkOf(index + 1, size));
        const numbers = Array.from({ length: ring.nextNumber - 1 }, (_, before) => before + 1);
        const held = numbers
          .map((number) => ring.at(number))
          .filter((it) => typeof it === 'object');
        const heldBytes = held.reduce((sum, { bytes }) => sum + bytes.length, 0);
        assert.ok(heldBytes <= BYTES_MAX || held.length === 1);
        assert.equal(held.at(-1)?.place.position, index + 1);
      }
    }),
  );
});

test('who waits for the next chunk when everything is let go is told that it is gone', () => {
  const ring = new TailRing(BYTES_MAX);
  ring.push(chunkOf(1, 10));
  const next = ring.nextNumber;
  assert.equal(ring.at(next), 'later');
  ring.clear();
  assert.equal(ring.at(next), 'gone');
  ring.push(chunkOf(2, 10));
  assert.equal(ring.at(next), 'gone');
});
