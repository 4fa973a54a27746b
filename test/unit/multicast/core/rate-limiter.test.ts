import assert from 'node:assert/strict';
import test from 'node:test';
import { RateLimiter } from '#multicast/core/rate-limiter.ts';

test('a full bucket lets one burst out, and a debt of one packet, then nothing', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 100 });
  limiter.refill(0);
  assert.deepEqual(
    [60, 60, 60].map((bytes) => limiter.take(bytes)),
    [true, true, false],
  );
});

test('a bucket emptied to the last byte gives nothing more', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 100 });
  limiter.refill(0);
  assert.deepEqual([limiter.take(100), limiter.take(1)], [true, false]);
});

test('the debt is paid before anything leaves again', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 100 });
  limiter.refill(0);
  assert.ok(limiter.take(150));
  limiter.refill(49);
  assert.equal(limiter.take(1), false);
  limiter.refill(limiter.readyAtMs);
  assert.equal(limiter.take(1), true);
});

test('a bucket that is not empty is ready at once', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 100 });
  limiter.refill(7);
  assert.equal(limiter.readyAtMs, 7);
});

test('at the time it names a bucket is ready, however long the clock has run', () => {
  for (const startMs of [0, 0.1, 1e6, 1e9]) {
    const limiter = new RateLimiter({ rateBytesPerSec: 12_345_678, burstBytes: 3_000 });
    let nowMs = startMs;
    limiter.refill(nowMs);
    for (let packet = 0; packet < 1_000; packet += 1) {
      while (limiter.take(1_500));
      nowMs = limiter.readyAtMs;
      limiter.refill(nowMs);
      assert.ok(limiter.take(1_500), `after ${startMs} ms, packet ${packet}`);
    }
  }
});

test('an idle bucket saves up one burst, not more', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 100 });
  limiter.refill(0);
  limiter.refill(3_600_000);
  assert.deepEqual([limiter.take(101), limiter.take(1)], [true, false]);
});

test('a clock that stands still or goes back gives nothing', () => {
  const limiter = new RateLimiter({ rateBytesPerSec: 1_000, burstBytes: 10 });
  limiter.refill(50);
  limiter.take(11);
  limiter.refill(50);
  limiter.refill(10);
  assert.equal(limiter.take(1), false);
});

test('a rate and a burst are positive', () => {
  assert.throws(() => new RateLimiter({ rateBytesPerSec: 0, burstBytes: 1 }), /rate is positive/);
  assert.throws(() => new RateLimiter({ rateBytesPerSec: 1, burstBytes: 0 }), /burst is positive/);
});
