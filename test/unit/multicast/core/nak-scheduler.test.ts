import assert from 'node:assert/strict';
import test from 'node:test';
import {
  NAK_PACKETS_OUTSTANDING_MAX,
  NAK_SQNS_MAX,
  RECEIVE_GAPS_MAX,
  seededRandom,
} from '#base/mod.ts';
import { NAK_BACKOFF_MS_MAX } from '#multicast/core/feedback-delay.ts';
import {
  NAK_DATA_MS,
  NAK_REPEAT_MS,
  NakScheduler,
  type SqnRange,
} from '#multicast/core/nak-scheduler.ts';

const REPAIR_TIMEOUT_MS = 1_000;
const OUTSTANDING_MAX = NAK_SQNS_MAX * NAK_PACKETS_OUTSTANDING_MAX;

/** A scheduler whose back-off is always the longest, so that times are plain numbers. */
function newScheduler(random = () => 1, repairTimeoutMs = REPAIR_TIMEOUT_MS): NakScheduler {
  return new NakScheduler({ random, repairTimeoutMs });
}

/** Lets time pass to `untilMs`; what was asked for, as `time: sqns`, and what was given up. */
function pass(scheduler: NakScheduler, untilMs: number, canAsk = true) {
  const asked: string[] = [];
  const givenUp: SqnRange[] = [];
  for (let steps = 0; scheduler.nextDeadlineMs <= untilMs; steps += 1) {
    assert.ok(steps < 10_000, 'a deadline moves when it is handled');
    const nowMs = Math.max(0, scheduler.nextDeadlineMs);
    const ask = (sqns: number[]): void =>
      void asked.push(`${Math.round(nowMs)}: ${sqns.join(' ')}`);
    givenUp.push(...scheduler.handleTimeout(nowMs, canAsk, ask));
  }
  return { asked, givenUp };
}

const backedOffMs = NAK_BACKOFF_MS_MAX;

test('nothing missing has no deadline and asks for nothing', () => {
  const scheduler = newScheduler();
  assert.deepEqual([scheduler.first, scheduler.nextDeadlineMs], [Infinity, Infinity]);
  assert.deepEqual(pass(scheduler, 1e9), { asked: [], givenUp: [] });
});

test('a hole is asked for after its back-off, and again when no confirmation comes', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 6, 0);
  const again = backedOffMs + NAK_REPEAT_MS + backedOffMs;
  assert.deepEqual(pass(scheduler, backedOffMs - 0.1).asked, []);
  assert.deepEqual(pass(scheduler, 100).asked, [`${backedOffMs}: 5 6`, `${again}: 5 6`]);
});

test('a packet that arrives during the back-off is never asked for', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  assert.equal(scheduler.arrived(5, 0), true);
  assert.deepEqual(pass(scheduler, 5_000), { asked: [], givenUp: [] });
});

test('an arrival takes exactly its packet out of a hole', () => {
  const rows: [arrived: number[], rest: string][] = [
    [[5], '6 7 8 9'],
    [[9], '5 6 7 8'],
    [[7], '5 6 8 9'],
    [[7, 5, 9, 6], '8'],
    [[6, 7, 8], '5 9'],
  ];
  for (const [arrived, rest] of rows) {
    const scheduler = newScheduler();
    scheduler.add(5, 9, 0);
    for (const sqn of arrived) assert.equal(scheduler.arrived(sqn, 0), true);
    for (const sqn of [...arrived, 4, 10]) assert.equal(scheduler.arrived(sqn, 0), false);
    assert.deepEqual(pass(scheduler, backedOffMs).asked, [`${backedOffMs}: ${rest}`]);
  }
});

test('a NAK heard from another receiver postpones ours', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 7, 0);
  scheduler.overheard([6], 1);
  assert.equal(scheduler.suppressed, 1);
  assert.deepEqual(pass(scheduler, 70).asked, [
    `${backedOffMs}: 5 7`,
    `${1 + NAK_REPEAT_MS + backedOffMs}: 6`,
    `${backedOffMs + NAK_REPEAT_MS + backedOffMs}: 5 7`,
  ]);
});

test('a NAK heard after ours was sent changes nothing', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  pass(scheduler, backedOffMs);
  scheduler.overheard([5], backedOffMs + 30);
  assert.equal(scheduler.suppressed, 0);
  assert.deepEqual(pass(scheduler, 70).asked, [`70: 5`]);
});

test('a confirmation during the back-off suppresses our request', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  scheduler.confirmed([5], 2);
  assert.equal(scheduler.suppressed, 1);
  assert.deepEqual(pass(scheduler, 120).asked, [`${2 + NAK_DATA_MS + backedOffMs}: 5`]);
});

test('each confirmation without a repair doubles the wait, four times at most', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  let nowMs = 0;
  for (const waitMs of [NAK_DATA_MS, 2 * NAK_DATA_MS, 4 * NAK_DATA_MS, 4 * NAK_DATA_MS]) {
    scheduler.confirmed([5], nowMs);
    assert.deepEqual(pass(scheduler, nowMs + waitMs - 0.1).asked, []);
    nowMs += waitMs + backedOffMs;
    if (nowMs >= REPAIR_TIMEOUT_MS) break;
    assert.deepEqual(pass(scheduler, nowMs).asked, [`${nowMs}: 5`]);
  }
});

test('confirmations of packets that are not missing change nothing', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 6, 0);
  scheduler.confirmed([1, 4, 7, 2 ** 31], 0);
  assert.equal(scheduler.suppressed, 0);
  assert.deepEqual(pass(scheduler, backedOffMs).asked, [`${backedOffMs}: 5 6`]);
});

test('a list may name packets of several holes, unordered and twice', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 6, 0);
  scheduler.add(8, 9, 0);
  scheduler.add(11, 12, 0);
  scheduler.overheard([12, 6, 7, 8, 6], 0);
  assert.equal(scheduler.suppressed, 3);
  assert.deepEqual(pass(scheduler, backedOffMs).asked, [`${backedOffMs}: 5 9 11`]);
});

test('a hole is given up at its timeout, in any state, and named exactly', () => {
  for (const state of ['back_off', 'wait_ncf', 'wait_data']) {
    const scheduler = newScheduler();
    scheduler.add(5, 9, 0);
    scheduler.arrived(7, 0);
    if (state === 'wait_ncf') scheduler.overheard([5, 6, 8, 9], 999);
    if (state === 'wait_data') scheduler.confirmed([5, 6, 8, 9], 999);
    assert.deepEqual(pass(scheduler, REPAIR_TIMEOUT_MS - 0.1).givenUp, []);
    const { givenUp } = pass(scheduler, REPAIR_TIMEOUT_MS);
    assert.deepEqual(
      givenUp,
      [
        { first: 5, last: 6 },
        { first: 8, last: 9 },
      ],
      state,
    );
    assert.equal(scheduler.nextDeadlineMs, Infinity);
  }
});

test('a hole of which something arrives in time is not given up', () => {
  const scheduler = newScheduler();
  scheduler.add(1, 5_000, 0);
  let arrivedCount = 0;
  for (let nowMs = 500; arrivedCount < 5_000; nowMs += 500) {
    assert.deepEqual(pass(scheduler, nowMs).givenUp, []);
    for (let count = 0; count < 500; count += 1) scheduler.arrived((arrivedCount += 1), nowMs);
  }
  assert.equal(scheduler.first, Infinity);
});

test('a hole that stops to be filled is given up after one timeout more', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 9, 0);
  pass(scheduler, 900);
  scheduler.arrived(5, 900);
  assert.deepEqual(pass(scheduler, 900 + REPAIR_TIMEOUT_MS - 0.1).givenUp, []);
  assert.deepEqual(pass(scheduler, 900 + REPAIR_TIMEOUT_MS).givenUp, [{ first: 6, last: 9 }]);
});

test('a trickle does not keep a hole open for ever', () => {
  const scheduler = newScheduler();
  scheduler.add(1, 1_000, 0);
  const givenUp: SqnRange[] = [];
  let nowMs = 0;
  for (let sqn = 1; givenUp.length === 0; sqn += 1) {
    nowMs += REPAIR_TIMEOUT_MS / 2;
    givenUp.push(...pass(scheduler, nowMs).givenUp);
    scheduler.arrived(sqn, nowMs);
  }
  assert.equal(nowMs, 12 * REPAIR_TIMEOUT_MS);
  assert.deepEqual(
    [givenUp[0]?.first, givenUp.at(-1)?.last, scheduler.first],
    [24, 1_000, Infinity],
  );
});

test('what lies behind a hole that is being filled is given up after it', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 6, 0);
  scheduler.add(8, 8, 100);
  pass(scheduler, 900);
  scheduler.arrived(5, 900);
  assert.deepEqual(pass(scheduler, 900 + REPAIR_TIMEOUT_MS - 0.1).givenUp, []);
  assert.deepEqual(pass(scheduler, 900 + REPAIR_TIMEOUT_MS).givenUp, [
    { first: 6, last: 6 },
    { first: 8, last: 8 },
  ]);
});

test('each hole has its own timeout', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  scheduler.add(7, 7, 300);
  assert.deepEqual(pass(scheduler, REPAIR_TIMEOUT_MS).givenUp, [{ first: 5, last: 5 }]);
  assert.deepEqual(pass(scheduler, REPAIR_TIMEOUT_MS + 300).givenUp, [{ first: 7, last: 7 }]);
});

test('at its deadline a hole is given up, whatever the fractions of a millisecond', () => {
  for (let step = 0; step < 2_000; step += 1) {
    const detectedAtMs = 1e7 + step * 0.1 + 1 / 3;
    const scheduler = newScheduler(undefined, 30_000 + step / 7);
    scheduler.add(5, 5, detectedAtMs);
    const { givenUp } = pass(scheduler, detectedAtMs + 30_000 + step / 7 + 1, false);
    assert.equal(givenUp.length, 1);
  }
});

test('a hole whose time is extended is given up that much later', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  scheduler.postponeExpiry(500);
  assert.deepEqual(pass(scheduler, REPAIR_TIMEOUT_MS + 499).givenUp, []);
  assert.deepEqual(pass(scheduler, REPAIR_TIMEOUT_MS + 500).givenUp, [{ first: 5, last: 5 }]);
});

test('until an SPM is heard nothing is asked for; then all together after a new delay', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 5, 0);
  scheduler.add(7, 7, 499);
  assert.deepEqual(pass(scheduler, 500, false), { asked: [], givenUp: [] });
  scheduler.mayAsk(500);
  assert.deepEqual(pass(scheduler, 500 + backedOffMs).asked, [`${500 + backedOffMs}: 5 7`]);
});

test('what the window left behind is abandoned exactly to its edge', () => {
  const rows: [edge: number, abandoned: SqnRange[], first: number][] = [
    [5, [], 5],
    [6, [{ first: 5, last: 5 }], 6],
    [8, [{ first: 5, last: 7 }], 10],
    [10, [{ first: 5, last: 7 }], 10],
    [
      11,
      [
        { first: 5, last: 7 },
        { first: 10, last: 10 },
      ],
      11,
    ],
    [
      Infinity,
      [
        { first: 5, last: 7 },
        { first: 10, last: 12 },
      ],
      Infinity,
    ],
  ];
  for (const [edge, abandoned, first] of rows) {
    const scheduler = newScheduler();
    scheduler.add(5, 7, 0);
    scheduler.add(10, 12, 0);
    assert.deepEqual(scheduler.abandonBelow(edge), abandoned);
    assert.equal(scheduler.first, first);
  }
});

test('what was asked for together is asked for again together', () => {
  const random = seededRandom(7);
  const scheduler = newScheduler(random);
  for (let hole = 0; hole < 20; hole += 1) scheduler.add(hole * 2, hole * 2, 0);
  scheduler.overheard(
    Array.from({ length: 20 }, (_, hole) => hole * 2),
    0,
  );
  const sizes = pass(scheduler, 700).asked.map((text) => text.split(' ').length - 1);
  assert.ok(sizes.length >= 5);
  assert.deepEqual(new Set(sizes), new Set([20]));
});

test('however long nobody answers, NAKs stay full', () => {
  const scheduler = newScheduler(seededRandom(8), 60_000);
  scheduler.add(1, 5_000, 0);
  pass(scheduler, 5_000);
  const sizes: number[] = [];
  for (let nowMs = 5_001; nowMs < 6_000; nowMs += 1) {
    scheduler.handleTimeout(nowMs, true, (sqns) => {
      sizes.push(sqns.length);
      scheduler.confirmed(sqns, nowMs);
    });
  }
  assert.ok(sizes.length > 0);
  const short = sizes.filter((size) => size < NAK_SQNS_MAX).length;
  assert.ok(short * 10 < sizes.length, sizes.join(' '));
});

test('requests beyond the bound wait until earlier ones are answered', () => {
  const scheduler = newScheduler();
  scheduler.add(1, OUTSTANDING_MAX + 100, 0);
  const { asked } = pass(scheduler, backedOffMs + 40);
  assert.equal(asked.length, NAK_PACKETS_OUTSTANDING_MAX);
  for (let sqn = 1; sqn <= 100; sqn += 1) scheduler.arrived(sqn, 0);
  const more = pass(scheduler, backedOffMs + 45).asked.join(' ');
  assert.ok(more.endsWith(` ${OUTSTANDING_MAX + 100}`), more.slice(0, 80));
});

test('a hole of two billion packets costs a bounded number of NAKs at a time', () => {
  const scheduler = newScheduler();
  scheduler.add(1, 2 ** 31, 0);
  const { asked, givenUp } = pass(scheduler, REPAIR_TIMEOUT_MS);
  const rounds = REPAIR_TIMEOUT_MS / NAK_REPEAT_MS;
  assert.ok(asked.length <= rounds * NAK_PACKETS_OUTSTANDING_MAX, `${asked.length} NAKs`);
  assert.deepEqual([givenUp.at(0)?.first, givenUp.at(-1)?.last], [1, 2 ** 31]);
});

test('requests that wait for room are looked at together, however they came to wait', () => {
  const scheduler = newScheduler(seededRandom(9), 60_000);
  for (let hole = 0; hole < 4_000; hole += 1) scheduler.add(hole * 2, hole * 2, hole / 100);
  pass(scheduler, 1_000);
  let wakes = 0;
  for (; scheduler.nextDeadlineMs <= 2_000; wakes += 1) {
    scheduler.handleTimeout(scheduler.nextDeadlineMs, true, () => undefined);
  }
  assert.ok(wakes <= 600, `${wakes} times in a second`);
});

test('a NAK names at most 63 packets, and the last one the rest', () => {
  const scheduler = newScheduler();
  scheduler.add(1, NAK_SQNS_MAX + 1, 0);
  const sizes = pass(scheduler, backedOffMs).asked.map((text) => text.split(' ').length - 1);
  assert.deepEqual(sizes, [NAK_SQNS_MAX, 1]);
});

test('the list of holes is full at its bound', () => {
  const scheduler = newScheduler();
  for (let hole = 0; hole < RECEIVE_GAPS_MAX; hole += 1) {
    assert.equal(scheduler.isFull, false);
    scheduler.add(hole * 2, hole * 2, 0);
  }
  assert.equal(scheduler.isFull, true);
});

test('holes are taken up in order only', () => {
  const scheduler = newScheduler();
  scheduler.add(5, 7, 0);
  assert.throws(() => scheduler.add(7, 9, 0), /holes come in order/);
  assert.throws(() => scheduler.add(9, 8, 0), /holes come in order/);
});
