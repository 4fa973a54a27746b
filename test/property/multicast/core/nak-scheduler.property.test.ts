// The scheduler keeps intervals; the model keeps one entry per packet number. Whatever happens, both ask
// for the same packets at the same times and give up the same.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { type Random, seededRandom } from '#base/mod.ts';
import { feedbackDelayMs } from '#multicast/core/feedback-delay.ts';
import {
  NAK_DATA_MS,
  NAK_REPEAT_MS,
  NakScheduler,
  type SqnRange,
} from '#multicast/core/nak-scheduler.ts';

const REPAIR_TIMEOUT_MS = 400;

interface Entry {
  state: 'back_off' | 'wait_ncf' | 'wait_data';
  deadlineMs: number;
  readonly expiresAtMs: number;
  confirmations: number;
}

class NaiveModel {
  readonly entries = new Map<number, Entry>();
  suppressed = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  add(first: number, last: number, nowMs: number): void {
    const deadlineMs = nowMs + feedbackDelayMs(this.#random);
    const expiresAtMs = nowMs + REPAIR_TIMEOUT_MS;
    for (let sqn = first; sqn <= last; sqn += 1) {
      this.entries.set(sqn, { state: 'back_off', deadlineMs, expiresAtMs, confirmations: 0 });
    }
  }

  confirmed(sqns: readonly number[], nowMs: number): void {
    for (const entry of this.#among(sqns)) {
      if (entry.state === 'back_off') this.suppressed += 1;
      entry.state = 'wait_data';
      entry.deadlineMs = nowMs + NAK_DATA_MS * 2 ** Math.min(2, entry.confirmations);
      entry.confirmations += 1;
    }
  }

  overheard(sqns: readonly number[], nowMs: number): void {
    for (const entry of this.#among(sqns)) {
      if (entry.state !== 'back_off') continue;
      this.suppressed += 1;
      entry.state = 'wait_ncf';
      entry.deadlineMs = nowMs + NAK_REPEAT_MS;
    }
  }

  abandonBelow(edge: number): number[] {
    return this.#remove((sqn) => sqn < edge);
  }

  handleTimeout(nowMs: number): { givenUp: number[]; asked: number[] } {
    const givenUp = this.#remove((_, entry) => entry.expiresAtMs <= nowMs);
    const againAtMs = nowMs + feedbackDelayMs(this.#random);
    for (const entry of this.entries.values()) {
      if (entry.state === 'back_off' || entry.deadlineMs > nowMs) continue;
      entry.state = 'back_off';
      entry.deadlineMs = againAtMs;
    }
    const asked: number[] = [];
    for (const [sqn, entry] of this.entries) {
      if (entry.state !== 'back_off' || entry.deadlineMs > nowMs) continue;
      asked.push(sqn);
      entry.state = 'wait_ncf';
      entry.deadlineMs = nowMs + NAK_REPEAT_MS;
    }
    return { givenUp, asked };
  }

  get nextDeadlineMs(): number {
    const times = [...this.entries.values()].map((entry) =>
      Math.min(entry.deadlineMs, entry.expiresAtMs),
    );
    return Math.min(...times, Number.POSITIVE_INFINITY);
  }

  #among(sqns: readonly number[]): Entry[] {
    return sqns.flatMap((sqn) => this.entries.get(sqn) ?? []);
  }

  #remove(isGone: (sqn: number, entry: Entry) => boolean): number[] {
    const gone = [...this.entries].filter(([sqn, entry]) => isGone(sqn, entry));
    for (const [sqn] of gone) this.entries.delete(sqn);
    return gone.map(([sqn]) => sqn);
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
    arbitrary: fc.record({ kind: fc.constant('add'), skip: fc.nat(5), count: fc.nat(12) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('arrived'), sqn }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('confirmed'), sqns: runs() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('overheard'), sqns: runs() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abandon'), sqn }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.nat(70) }) },
);

type Step = {
  readonly kind: string;
  readonly skip?: number;
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
  readonly #seed: number;
  readonly scheduler: NakScheduler;
  readonly model: NaiveModel;
  nowMs = 0;
  #lead = 0;

  constructor(seed: number) {
    this.#seed = seed;
    const options = { random: seededRandom(seed), repairTimeoutMs: REPAIR_TIMEOUT_MS };
    this.scheduler = new NakScheduler(options);
    this.model = new NaiveModel(seededRandom(seed));
  }

  take(next: Step): void {
    const { scheduler, model, nowMs } = this;
    const { sqns = [], sqn: number = 0, skip = 0, count = 0, ms = 0 } = next;
    if (next.kind === 'add') {
      const first = this.#lead + 1 + skip;
      this.#lead = first + count;
      scheduler.add(first, this.#lead, nowMs);
      model.add(first, this.#lead, nowMs);
    } else if (next.kind === 'arrived') {
      assert.equal(scheduler.arrived(number, nowMs), model.entries.delete(number));
    } else if (next.kind === 'confirmed') {
      scheduler.confirmed(sqns, nowMs);
      model.confirmed(sqns, nowMs);
    } else if (next.kind === 'overheard') {
      scheduler.overheard(sqns, nowMs);
      model.overheard(sqns, nowMs);
    } else if (next.kind === 'abandon') {
      assert.deepEqual(numbers(scheduler.abandonBelow(number)), model.abandonBelow(number));
    } else {
      this.#wait(nowMs + ms);
    }
    const [first = Number.POSITIVE_INFINITY] = model.entries.keys();
    assert.deepEqual([scheduler.first, scheduler.suppressed], [first, model.suppressed]);
  }

  #wait(untilMs: number): void {
    for (;;) {
      assert.ok(this.scheduler.nextDeadlineMs <= this.model.nextDeadlineMs, `seed ${this.#seed}`);
      if (this.scheduler.nextDeadlineMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, this.scheduler.nextDeadlineMs);
      const asked: number[] = [];
      const givenUp = this.scheduler.handleTimeout(this.nowMs, true, (sqns) => asked.push(...sqns));
      const expected = this.model.handleTimeout(this.nowMs);
      assert.deepEqual({ givenUp: numbers(givenUp), asked }, expected);
    }
    this.nowMs = untilMs;
  }
}

test('intervals and single packets come to the same', () => {
  fc.assert(
    fc.property(fc.nat(), fc.array(step, { maxLength: 60 }), (seed, steps) => {
      const pair = new Pair(seed);
      for (const next of steps) pair.take(next);
      pair.take({ kind: 'wait', ms: 2 * REPAIR_TIMEOUT_MS });
      assert.equal(pair.model.entries.size, 0);
      assert.equal(pair.scheduler.nextDeadlineMs, Number.POSITIVE_INFINITY);
    }),
    { numRuns: 1_000 },
  );
});
