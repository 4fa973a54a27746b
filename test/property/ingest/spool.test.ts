// The spool against a list: whatever order appends, flushes, trims, crashes and reopenings come in,
// what was durable comes back, whole and in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRandom } from '#base/mod.ts';
import { Spool } from '#ingest/spool/mod.ts';
import { SimulatedDisk } from '#test/support/simulated-disk.ts';

const FILE_BYTES = 2_048;
const FILES_MAX = 12;

type Step =
  | { readonly kind: 'append'; readonly contentBytes: number }
  | { readonly kind: 'flush' | 'read' | 'crash' | 'failSync' | 'failWrite' }
  | { readonly kind: 'trim'; readonly share: number };

const STEPS = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('append' as const), contentBytes: fc.nat(700) }),
    },
    { weight: 3, arbitrary: fc.constant({ kind: 'flush' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'read' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'failSync' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'failWrite' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('trim' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
  ),
  { maxLength: 60 },
);

/**
 * Content that says which entry it is of, and which one of that number: numbers come back after a
 * crash.
 */
function contentOf(number: number, run: number, contentBytes: number): Uint8Array {
  return Buffer.alloc(contentBytes, `${number}/${run};`);
}

async function readAll(spool: Spool, afterNumber: number): Promise<Map<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>();
  let last = afterNumber;
  for (;;) {
    const entries = await spool.read(last);
    if (entries.length === 0) return found;
    for (const { number, content } of entries) {
      assert.ok(number > last, 'in order');
      found.set(number, content);
      last = number;
    }
  }
}

test('what was durable comes back after any crash, whole and in order', async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), async (steps: Step[], seed) => {
      const random = seededRandom(seed);
      const disk = new SimulatedDisk();
      const open = async (): Promise<Spool> => {
        return await Spool.open({
          storage: disk.mount(),
          fileBytes: FILE_BYTES,
          filesMax: FILES_MAX,
        });
      };
      let spool = await open();
      let run = 0;
      let trimmed = 0;
      const written = new Map<number, Uint8Array>();
      for (const step of [...steps, { kind: 'crash' } as const]) {
        if (step.kind === 'append') {
          const content = contentOf(spool.lastNumber + 1, run, step.contentBytes);
          const number = spool.append(content);
          if (number !== undefined) written.set(number, content);
        } else if (step.kind === 'flush') {
          await spool.flush();
          assert.equal(spool.durableThrough, spool.lastNumber);
        } else if (step.kind === 'failSync') {
          disk.faults.failSync = true;
          await spool.flush();
          disk.faults.failSync = false;
        } else if (step.kind === 'failWrite') {
          disk.faults.failWrite = true;
          await spool.flush();
          disk.faults.failWrite = false;
        } else if (step.kind === 'trim') {
          trimmed = Math.max(trimmed, Math.floor(spool.durableThrough * step.share));
          await spool.trim(trimmed);
        } else if (step.kind === 'crash') {
          const { durableThrough } = spool;
          void spool.flush();
          for (let turn = Math.floor(random() * 8); turn > 0; turn -= 1) await Promise.resolve();
          disk.crash(random);
          run += 1;
          spool = await open();
          assert.deepEqual(spool.damaged, []);
          if (trimmed < durableThrough) assert.ok(spool.durableThrough >= durableThrough);
          if (spool.lastNumber === 0) {
            trimmed = 0;
            written.clear();
          }
          for (const number of written.keys()) {
            if (number > spool.durableThrough) written.delete(number);
          }
        }
        const after = Math.max(trimmed, spool.firstNumber - 1);
        const found = await readAll(spool, after);
        assert.equal(found.size, Math.max(0, spool.durableThrough - after), step.kind);
        for (const [number, content] of found) assert.deepEqual(content, written.get(number));
        assert.ok(spool.firstNumber <= trimmed + 1 || trimmed === 0 || found.size === 0);
      }
    }),
    { numRuns: 300 },
  );
});
