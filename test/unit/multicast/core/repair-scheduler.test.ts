import assert from 'node:assert/strict';
import test from 'node:test';
import { REPAIR_LANE_PACKETS_MAX, REPAIR_LANES } from '#base/mod.ts';
import {
  laneOf,
  REPAIR_LINGER_BUSY_MS,
  REPAIR_LINGER_MS,
  RepairScheduler,
} from '#multicast/core/repair-scheduler.ts';

const LANE = 3;

test('a packet asked for many times waits once', () => {
  const repairs = new RepairScheduler();
  assert.equal(repairs.request(7, LANE, 0), 'queued');
  assert.equal(repairs.request(7, LANE, 0), 'confirmed');
  assert.deepEqual([repairs.length, repairs.peek()], [1, 7]);
});

test('a packet just resent is not taken up again until its linger is over', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, LANE, 0);
  repairs.done(true, 100);
  assert.equal(repairs.peek(), undefined);
  assert.equal(repairs.request(7, LANE, 100 + REPAIR_LINGER_MS - 0.01), 'lingering');
  assert.equal(repairs.request(7, LANE, 100 + REPAIR_LINGER_MS), 'queued');
});

test('while another waits, a packet just resent is not taken up again for longer', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, LANE, 0);
  repairs.done(true, 100);
  repairs.request(8, LANE, 100);
  assert.equal(repairs.request(7, LANE, 100 + REPAIR_LINGER_BUSY_MS - 0.01), 'lingering');
  assert.equal(repairs.request(7, LANE, 100 + REPAIR_LINGER_BUSY_MS), 'queued');
});

test('a packet that had left the window does not linger', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, LANE, 0);
  repairs.done(false, 0);
  assert.equal(repairs.request(7, LANE, 0), 'queued');
});

test('repairs leave in the order in which they were asked for, over many thousands', () => {
  const repairs = new RepairScheduler();
  let asked = 0;
  let left = 0;
  for (; asked < 900; asked += 1) repairs.request(asked, LANE, 0);
  for (let round = 0; round < 5_000; round += 1) {
    for (let n = 0; n < 3; n += 1) repairs.request(asked++, LANE, round);
    for (let n = 0; n < 3; n += 1) {
      assert.equal(repairs.peek(), left++);
      repairs.done(true, round);
    }
    assert.equal(repairs.length, asked - left);
  }
});

test('lingers that are over are forgotten, others kept, also after a second resending', () => {
  const repairs = new RepairScheduler();
  for (const [sqn, atMs] of [
    [1, 0],
    [2, 0.5 * REPAIR_LINGER_BUSY_MS],
    [1, 1.1 * REPAIR_LINGER_BUSY_MS],
  ] as const) {
    repairs.request(sqn, LANE, atMs);
    repairs.done(true, atMs);
  }
  const nowMs = 1.1 * REPAIR_LINGER_BUSY_MS + REPAIR_LINGER_MS / 2;
  repairs.forgetLingers(nowMs);
  assert.equal(repairs.request(2, LANE, nowMs), 'queued');
  assert.equal(repairs.request(1, LANE, nowMs), 'lingering');
});

test('done without a queue changes nothing', () => {
  const repairs = new RepairScheduler();
  repairs.done(true, 0);
  assert.deepEqual([repairs.length, repairs.peek()], [0, undefined]);
  assert.equal(repairs.request(0, LANE, 0), 'queued');
});

test('a packet that waits is worth another confirmation after a while, and only then', () => {
  const repairs = new RepairScheduler();
  const outcomes = [0, 9.9, 10, 19.9, 20].map((nowMs) => repairs.request(7, LANE, nowMs));
  assert.deepEqual(outcomes, ['queued', 'confirmed', 'waiting', 'confirmed', 'waiting']);
  assert.equal(repairs.length, 1);
});

test('lanes take turns: who asks for one packet waits for one of each other lane', () => {
  const repairs = new RepairScheduler();
  for (let sqn = 0; sqn < 1_000; sqn += 1) repairs.request(sqn, 1, 0);
  repairs.request(5_000, 2, 0);
  repairs.request(6_000, 60, 0);
  const order: number[] = [];
  for (let n = 0; n < 5; n += 1) {
    order.push(repairs.peek() ?? -1);
    repairs.done(true, 0);
  }
  assert.deepEqual(order, [0, 5_000, 6_000, 1, 2]);
});

test('a full lane refuses, others do not, and what is refused may be asked for again', () => {
  const repairs = new RepairScheduler();
  for (let sqn = 0; sqn < REPAIR_LANE_PACKETS_MAX; sqn += 1) {
    assert.equal(repairs.request(sqn, LANE, 0), 'queued');
  }
  assert.equal(repairs.request(9_999, LANE, 0), 'refused');
  assert.equal(repairs.request(9_999, LANE + 1, 0), 'queued');
  assert.equal(repairs.request(8_888, LANE, 0), 'refused');
  repairs.done(true, 0);
  assert.equal(repairs.request(8_888, LANE, 0), 'queued');
  assert.equal(repairs.isQueued(8_888), true);
});

test('what waits in a long lane leaves with the turn of another that asks for it too, once', () => {
  const repairs = new RepairScheduler();
  for (let sqn = 0; sqn < 500; sqn += 1) repairs.request(sqn, 1, 0);
  assert.equal(repairs.request(499, 2, 0), 'confirmed');
  assert.equal(repairs.length, 500);
  const order: number[] = [];
  for (; repairs.length > 0; repairs.done(true, 0)) order.push(repairs.peek() ?? -1);
  assert.deepEqual(order.slice(0, 4), [0, 499, 1, 2]);
  assert.deepEqual([order.length, new Set(order).size], [500, 500]);
});

test('in a full lane a packet that waits elsewhere is still on its way', () => {
  const repairs = new RepairScheduler();
  repairs.request(9_999, 1, 0);
  for (let sqn = 0; sqn < REPAIR_LANE_PACKETS_MAX; sqn += 1) repairs.request(sqn, LANE, 0);
  assert.equal(repairs.request(9_999, LANE, 20), 'waiting');
});

test('two askers that share a lane share it for a second', () => {
  const askers = Array.from({ length: 200 }, (_, n) => ({ address: '10.0.0.1', port: 40_000 + n }));
  const neighbours = (nowMs: number): number[] => {
    const lane = laneOf(askers[0] ?? { address: '', port: 0 }, nowMs);
    return askers.flatMap((asker, n) => (laneOf(asker, nowMs) === lane ? [n] : []));
  };
  const both = neighbours(0).filter((n) => n > 0 && neighbours(1_000).includes(n));
  assert.ok(neighbours(0).length > 1);
  assert.deepEqual(both, []);
});

test('the same asker has the same lane, and most of a few hundred askers share it with few', () => {
  const counts = new Map<number, number>();
  for (let host = 1; host <= 16; host += 1) {
    for (let port = 40_000; port < 40_016; port += 1) {
      const asker = { address: `10.0.0.${host}`, port };
      assert.equal(laneOf(asker, 0), laneOf({ ...asker }, 999));
      counts.set(laneOf(asker, 0), (counts.get(laneOf(asker, 0)) ?? 0) + 1);
    }
  }
  assert.ok(counts.size >= REPAIR_LANES - 4, `${counts.size} lanes`);
  assert.ok(Math.max(...counts.values()) <= 12);
});
