// Whatever is asked for and whenever, with data or without: over no interval do repairs take more
// than a quarter of the rate, counted over the interval and one second more.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { newPublisherCounters } from '#multicast/core/mod.ts';
import { REPAIR_SHARE, RepairBudget } from '#multicast/core/repair-budget.ts';
import { SendRate } from '#multicast/core/send-rate.ts';

const PACKET_BYTES_MAX = 1_500;
const step = fc.record({
  waitMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 300, noNaN: true })),
  repairs: fc.nat(40),
  data: fc.nat(40),
  bytes: fc.integer({ min: 1, max: PACKET_BYTES_MAX }),
});

test('repairs take a quarter of any time and a second, and data has its rate beside them', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000, max: 10_000_000 }),
      fc.array(step, { maxLength: 60 }),
      (rateBytesPerSec, steps) => {
        const options = { rateBytesPerSec, packetBytesMax: PACKET_BYTES_MAX };
        const counters = newPublisherCounters();
        const rate = new SendRate({ ...options, counters, sentLead: -1 }, 0);
        const budget = new RepairBudget(options);
        const left: { readonly atMs: number; readonly bytes: number }[] = [];
        let nowMs = 0;
        for (const { waitMs, repairs, data, bytes } of steps) {
          nowMs += waitMs;
          rate.refill(nowMs);
          budget.refill(nowMs);
          for (let n = 0; n < data; n += 1) rate.take(bytes);
          const spare = data === 0 ? rate : undefined;
          for (let n = 0; n < repairs; n += 1) {
            if (budget.take(bytes, spare)) left.push({ atMs: nowMs, bytes });
            else assert.ok(budget.readyAtMs(spare) > nowMs, 'there is something to wait for');
          }
        }
        for (const [start, { atMs }] of left.entries()) {
          let sumBytes = 0;
          for (const later of left.slice(start)) {
            sumBytes += later.bytes;
            const seconds = (later.atMs - atMs) / 1_000;
            const allowedBytes = REPAIR_SHARE * rateBytesPerSec * (seconds + 1);
            assert.ok(sumBytes <= allowedBytes + 3 * PACKET_BYTES_MAX);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('where the pace has lowered the rate, repairs have no more than the data', () => {
  const budget = new RepairBudget({ rateBytesPerSec: 16_000, packetBytesMax: PACKET_BYTES_MAX });
  budget.setDataRate(8_000);
  assert.equal(budget.bytesPerSec, 4_000);
  budget.setDataRate(1_000);
  assert.equal(budget.bytesPerSec, 1_000);
});
