// Whatever is sent and asked for: the share stays within its bounds, falls no faster than one cut
// per interval, and is whole again a bounded time after the last packet was asked for.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { Pace, PACE_INTERVAL_MS, PACE_SHARE_MIN } from '#multicast/core/pace.ts';

const step = fc.record({
  packets: fc.nat(200),
  asked: fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 200 }),
  backlogMs: fc.nat(1_000),
  waitMs: fc.nat(400),
});
const RECOVERY_MS = 8_000;

function runSteps(steps: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[]) {
  const pace = new Pace(-1, 0);
  const cutsAtMs: number[] = [];
  let sentLead = -1;
  let nowMs = 0;
  for (const { packets, asked, backlogMs, waitMs } of steps) {
    sentLead += packets;
    for (const back of asked) if (back >= 0 && back <= sentLead) pace.asked(sentLead - back);
    nowMs += waitMs;
    if (!pace.isDue(sentLead, nowMs)) continue;
    const before = pace.share;
    pace.judge(sentLead, backlogMs, nowMs);
    assert.ok(pace.share >= PACE_SHARE_MIN && pace.share <= 1);
    assert.ok(pace.share >= before / 2);
    if (pace.share < before) cutsAtMs.push(nowMs);
  }
  return { pace, cutsAtMs, sentLead, nowMs };
}

test('the share stays in its bounds and is cut at most once per interval, by half at most', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { cutsAtMs } = runSteps(steps);
      for (const [index, atMs] of cutsAtMs.entries()) {
        const previousMs = cutsAtMs[index - 1] ?? Number.NEGATIVE_INFINITY;
        assert.ok(atMs - previousMs >= PACE_INTERVAL_MS);
      }
    }),
    { numRuns: 500 },
  );
});

test('eight seconds after the pressure ends all of the rate is there again', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 0, max: 300 }),
      (steps, per) => {
        const { pace, nowMs, sentLead } = runSteps(steps);
        let lead = sentLead;
        let atMs = nowMs;
        const untilMs = nowMs + RECOVERY_MS + 1_000;
        while (atMs <= untilMs) {
          atMs += PACE_INTERVAL_MS;
          lead += per;
          const before = pace.share;
          if (pace.isDue(lead, atMs)) pace.judge(lead, 0, atMs);
          assert.ok(pace.share >= before || atMs <= nowMs + 1_000, 'only what came before may cut');
        }
        assert.ok(pace.share > 0.999_999, `${pace.share}`);
      },
    ),
    { numRuns: 500 },
  );
});
