// Whatever is asked of a bucket and whenever: over no interval does more leave than rate and burst
// allow, and it never holds back what the rate would allow.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { RateLimiter } from '#multicast/core/rate-limiter.ts';

const PACKET_BYTES_MAX = 2_000;

const bucket = fc.record({
  rateBytesPerSec: fc.integer({ min: 1_000, max: 100_000_000 }),
  burstBytes: fc.integer({ min: 1, max: 20_000 }),
});
const ask = fc.record({
  waitMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 20, noNaN: true })),
  bytes: fc.integer({ min: 1, max: PACKET_BYTES_MAX }),
});

test('over no interval more leaves than rate and burst, and the debt of one packet, allow', () => {
  fc.assert(
    fc.property(bucket, fc.array(ask, { maxLength: 80 }), (options, asks) => {
      const limiter = new RateLimiter(options);
      const left: { readonly atMs: number; readonly bytes: number }[] = [];
      let nowMs = 0;
      for (const { waitMs, bytes } of asks) {
        nowMs += waitMs;
        limiter.refill(nowMs);
        if (limiter.take(bytes)) left.push({ atMs: nowMs, bytes });
      }
      for (const [start, { atMs }] of left.entries()) {
        let sumBytes = 0;
        for (const later of left.slice(start)) {
          sumBytes += later.bytes;
          const allowedBytes =
            ((later.atMs - atMs) * options.rateBytesPerSec) / 1000 + options.burstBytes;
          assert.ok(sumBytes <= allowedBytes + PACKET_BYTES_MAX + 1e-3);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('who always waits until the bucket is ready gets the full rate', () => {
  fc.assert(
    fc.property(
      bucket,
      fc.array(fc.integer({ min: 1, max: PACKET_BYTES_MAX }), { minLength: 1 }),
      (options, packets) => {
        const limiter = new RateLimiter(options);
        let nowMs = 0;
        let sumBytes = 0;
        for (const bytes of packets) {
          limiter.refill(nowMs);
          nowMs = Math.max(nowMs, limiter.readyAtMs);
          limiter.refill(nowMs);
          assert.ok(limiter.take(bytes));
          sumBytes += bytes;
        }
        assert.ok(nowMs <= (sumBytes * 1000) / options.rateBytesPerSec + 0.01);
      },
    ),
    { numRuns: 300 },
  );
});
