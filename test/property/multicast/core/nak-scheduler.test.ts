// The scheduler keeps intervals; the model keeps one entry per packet number. Whatever happens,
// both know the same packets missing and give up the same; and each missing packet is asked for
// neither sooner after an ask, a promise or somebody else's ask than the shortest wait, nor later
// than the longest.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { seededRandom } from '#base/mod.ts';
import { NAK_BACKOFF_MS_MAX } from '#multicast/core/feedback-delay.ts';
import { NakScheduler, type SqnRange } from '#multicast/core/nak-scheduler.ts';
import { inFull } from '#test/support/thoroughness.ts';

const REPAIR_TIMEOUT_MS = 1_500;
/** However quick the answers were: between two asks, and between a promise and an ask. */
const AGAIN_MS_MIN = 20;
const AFTER_PROMISE_MS_MIN = 40;
/** However slow the answers were. */
const AGAIN_MS_MAX = 400 + NAK_BACKOFF_MS_MAX;

interface Entry {
  earliestMs: number;
  latestMs: number;
  /** Shared by all that were found missing at once. */
  readonly hole: { expiresAtMs: number };
}

class NaiveModel {
  readonly entries = new Map<number, Entry>();

  add(first: number, last: number, nowMs: number): void {
    const hole = { expiresAtMs: nowMs + REPAIR_TIMEOUT_MS };
    for (let sqn = first; sqn <= last; sqn += 1) {
      const latestMs = nowMs + NAK_BACKOFF_MS_MAX;
      this.entries.set(sqn, { earliestMs: nowMs, latestMs, hole });
    }
  }

  /** What is left of its hole has time anew. */
  arrived(sqn: number, nowMs: number): boolean {
    const entry = this.entries.get(sqn);
    if (entry !== undefined) entry.hole.expiresAtMs = nowMs + REPAIR_TIMEOUT_MS;
    return this.entries.delete(sqn);
  }

  /** In order, up to the first whose time is not over. */
  giveUp(nowMs: number): number[] {
    const fresh = [...this.entries].find(([, { hole }]) => hole.expiresAtMs > nowMs);
    return this.remove((sqn) => fresh === undefined || sqn < fresh[0]);
  }

  /** The packets were promised (`isPromise`), or asked for by somebody else. */
  heard(sqns: readonly number[], nowMs: number, isPromise: boolean): void {
    for (const sqn of sqns) {
      const entry = this.entries.get(sqn);
      if (entry === undefined) continue;
      if (isPromise) entry.earliestMs = nowMs + AFTER_PROMISE_MS_MIN;
      entry.latestMs = nowMs + AGAIN_MS_MAX;
    }
  }

  asked(sqns: readonly number[], nowMs: number): void {
    for (const sqn of sqns) {
      const entry = this.entries.get(sqn);
      assert.ok(entry !== undefined, `${sqn} is asked for and not missing`);
      assert.ok(nowMs >= entry.earliestMs, `${sqn} is asked for too soon`);
      entry.earliestMs = nowMs + AGAIN_MS_MIN;
      entry.latestMs = nowMs + AGAIN_MS_MAX;
    }
  }

  assertNobodyForgotten(nowMs: number): void {
    for (const [sqn, { latestMs }] of this.entries) {
      assert.ok(nowMs <= latestMs, `${sqn} should have been asked for`);
    }
  }

  remove(isGone: (sqn: number) => boolean): number[] {
    const gone = [...this.entries.keys()].filter(isGone);
    for (const sqn of gone) this.entries.delete(sqn);
    return gone;
  }
}

const numbers = (ranges: readonly SqnRange[]): number[] =>
  ranges.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, n) => first + n),
  );

const sqn = fc.nat({ max: 120 });
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('add'), ahead: fc.nat(5), count: fc.nat(12) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('arrived'), sqn }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('confirmed'), sqns: runs() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('overheard'), sqns: runs() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abandon'), sqn }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.nat(70) }) },
);

type Step = {
  readonly kind: string;
  readonly ahead?: number;
  readonly count?: number;
  readonly sqn?: number;
  readonly sqns?: readonly number[];
  readonly ms?: number;
};

/** Lists as NAKs and NCFs carry them: mostly runs, sometimes unordered or twice the same. */
function runs(): fc.Arbitrary<number[]> {
  const run = fc
    .tuple(sqn, fc.nat(15))
    .map(([first, more]) => numbers([{ first, last: first + more }]));
  return fc.oneof(run, fc.array(sqn, { minLength: 1, maxLength: 10 }));
}

/** One scheduler beside its model. */
class Pair {
  readonly scheduler: NakScheduler;
  readonly model = new NaiveModel();
  nowMs = 0;
  #lead = 0;

  constructor(seed: number) {
    const options = { random: seededRandom(seed), repairTimeoutMs: REPAIR_TIMEOUT_MS };
    this.scheduler = new NakScheduler(options);
  }

  take(next: Step): void {
    const { scheduler, model, nowMs } = this;
    const { sqns = [], sqn: number = 0, ahead = 0, count = 0, ms = 0 } = next;
    if (next.kind === 'add') {
      const first = this.#lead + 1 + ahead;
      this.#lead = first + count;
      scheduler.add(first, this.#lead, nowMs);
      model.add(first, this.#lead, nowMs);
    } else if (next.kind === 'arrived') {
      assert.equal(scheduler.arrived(number, nowMs), model.arrived(number, nowMs));
    } else if (next.kind === 'confirmed') {
      scheduler.confirmed(sqns, nowMs);
      model.heard(sqns, nowMs, true);
    } else if (next.kind === 'overheard') {
      scheduler.overheard(sqns, nowMs);
      model.heard(sqns, nowMs, false);
    } else if (next.kind === 'abandon') {
      const expected = model.remove((missing) => missing < number);
      assert.deepEqual(numbers(scheduler.abandonBelow(number)), expected);
    } else {
      this.#wait(nowMs + ms);
    }
    const [first = Number.POSITIVE_INFINITY] = model.entries.keys();
    assert.equal(scheduler.first, first);
  }

  #wait(untilMs: number): void {
    const { scheduler, model } = this;
    for (let steps = 0; scheduler.nextDeadlineMs <= untilMs; steps += 1) {
      assert.ok(steps < 10_000, 'a deadline moves when it is handled');
      const nowMs = Math.max(this.nowMs, scheduler.nextDeadlineMs);
      this.nowMs = nowMs;
      const asked: number[] = [];
      const givenUp = scheduler.handleTimeout(nowMs, true, (sqns) => asked.push(...sqns));
      assert.deepEqual(numbers(givenUp), model.giveUp(nowMs));
      model.asked(asked, nowMs);
    }
    this.nowMs = untilMs;
    model.assertNobodyForgotten(untilMs);
  }
}

test('every missing packet is asked for in time, never too often, and given up on time', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { maxLength: 80 }), (seed, steps) => {
      const pair = new Pair(seed);
      for (const next of steps) pair.take(next);
      pair.take({ kind: 'wait', ms: REPAIR_TIMEOUT_MS });
      assert.equal(pair.model.entries.size, 0);
      assert.equal(pair.scheduler.nextDeadlineMs, Number.POSITIVE_INFINITY);
    }),
    { numRuns: inFull(1_000, 250) },
  );
});
