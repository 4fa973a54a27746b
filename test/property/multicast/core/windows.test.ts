// The windows are rings with masks; the models are plain lists and maps.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { ReceiveWindow } from '#multicast/core/receive-window.ts';
import {
  RepairScheduler,
  REPAIR_LINGER_BUSY_MS,
  REPAIR_LINGER_MS,
} from '#multicast/core/repair-scheduler.ts';
import { TransmitWindow } from '#multicast/core/transmit-window.ts';

const firstSqn = fc.oneof(fc.nat(100), fc.integer({ min: 2 ** 32 - 40, max: 2 ** 32 + 40 }));

test('a transmit window holds the longest run of newest packets that its bounds allow', () => {
  const bounds = fc.record({
    firstSqn,
    packetsMax: fc.integer({ min: 2, max: 20 }),
    bytesMax: fc.integer({ min: 1, max: 500 }),
  });
  fc.assert(
    fc.property(bounds, fc.array(fc.nat(60), { maxLength: 80 }), (options, sizes) => {
      const window = new TransmitWindow(options);
      const all: Uint8Array[] = [];
      for (const size of sizes) {
        all.push(new Uint8Array(size));
        window.push(all.at(-1) ?? new Uint8Array(0), all.length);
        const held = longestTail(all, options.packetsMax, options.bytesMax);
        assert.equal(window.lead, options.firstSqn + all.length - 1);
        assert.equal(window.trail, options.firstSqn + all.length - held);
        for (let n = 0; n < all.length; n += 1) {
          const isHeld = n >= all.length - held;
          assert.equal(window.get(options.firstSqn + n), isHeld ? all[n] : undefined);
          if (isHeld) assert.equal(window.nextSequenceAfter(options.firstSqn + n), n + 1);
        }
      }
    }),
    { numRuns: 300 },
  );
});

/** How many of the newest packets fit, always at least one. */
function longestTail(packets: readonly Uint8Array[], packetsMax: number, bytesMax: number): number {
  let bytes = 0;
  let count = 0;
  for (const packet of packets.toReversed()) {
    bytes += packet.length;
    if (count > 0 && (bytes > bytesMax || count === packetsMax)) break;
    count += 1;
  }
  return count;
}

test('a receive window gives back exactly what it holds', () => {
  const steps = fc.array(fc.nat(300), { maxLength: 200 });
  fc.assert(
    fc.property(firstSqn, steps, (start, ahead) => {
      const window = new ReceiveWindow();
      const model = new Map<number, number>();
      let next = start;
      for (const distance of ahead) {
        const sqn = next + 1 + distance;
        if (!model.has(sqn)) {
          const held = {
            bytes: new Uint8Array(0),
            start: 0,
            end: 0,
            fragment: undefined,
            isRepair: false,
          };
          window.hold(sqn, next, { ...held, sequence: sqn });
          model.set(sqn, sqn);
        }
        if (distance % 3 !== 0) continue;
        next += 1;
        assert.equal(window.release(next)?.sequence, model.get(next));
        model.delete(next);
        assert.equal(window.count, model.size);
      }
    }),
    { numRuns: 300 },
  );
});

test('a repair queue gives each packet once, in the order of first asking', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ask'), sqn: fc.nat(8) }),
    fc.record({ kind: fc.constant('send'), sqn: fc.nat(3) }),
    fc.record({ kind: fc.constant('wait'), sqn: fc.nat(12) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const repairs = new RepairScheduler();
      const queue: number[] = [];
      const resentAtMs = new Map<number, number>();
      const confirmedAtMs = new Map<number, number>();
      let nowMs = 0;
      for (const { kind, sqn } of steps) {
        if (kind === 'wait') {
          nowMs += sqn;
          repairs.forgetLingers(nowMs);
        } else if (kind === 'send') {
          assert.equal(repairs.peek(), queue[0]);
          repairs.done(sqn > 0, nowMs);
          const sent = queue.shift();
          if (sent !== undefined && sqn > 0) resentAtMs.set(sent, nowMs);
        } else {
          const lingerMs = queue.length > 0 ? REPAIR_LINGER_BUSY_MS : REPAIR_LINGER_MS;
          const isFresh = nowMs - (resentAtMs.get(sqn) ?? -Infinity) < lingerMs;
          const isConfirmed = nowMs - (confirmedAtMs.get(sqn) ?? -Infinity) < 10;
          const rest = isFresh ? 'lingering' : 'queued';
          const expected = queue.includes(sqn) ? (isConfirmed ? 'confirmed' : 'waiting') : rest;
          assert.equal(repairs.request(sqn, 0, nowMs), expected);
          if (expected === 'queued') queue.push(sqn);
          if (expected === 'queued' || expected === 'waiting') confirmedAtMs.set(sqn, nowMs);
        }
        assert.equal(repairs.length, queue.length);
      }
    }),
    { numRuns: 500 },
  );
});
