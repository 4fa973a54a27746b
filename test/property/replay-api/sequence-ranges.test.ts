import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SequenceRanges } from '#replay-api/export/sequence-ranges.ts';

test('ranges hold exactly what was added, in as few ranges as there can be', () => {
  const range = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 8 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 30 }), (added) => {
      const ranges = new SequenceRanges();
      const held = new Set<number>();
      for (const [first, more] of added) {
        ranges.add(first, first + more);
        for (let sequence = first; sequence <= first + more; sequence += 1) held.add(sequence);
      }
      const ascending = [...held].toSorted((one, other) => one - other);
      const expected: [number, number][] = [];
      for (const sequence of ascending) {
        const last = expected.at(-1);
        if (last !== undefined && last[1] === sequence - 1) last[1] = sequence;
        else expected.push([sequence, sequence]);
      }
      assert.deepEqual(ranges.ranges, expected);
    }),
  );
});
