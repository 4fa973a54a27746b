import assert from 'node:assert/strict';
import test from 'node:test';
import {
  REPAIR_LINGER_BUSY_MS,
  REPAIR_LINGER_MS,
  RepairScheduler,
} from '#multicast/core/repair-scheduler.ts';

test('a packet asked for many times waits once', () => {
  const repairs = new RepairScheduler();
  assert.equal(repairs.request(7, 0), 'queued');
  assert.equal(repairs.request(7, 0), 'already_queued');
  assert.deepEqual([repairs.length, repairs.peek()], [1, 7]);
});

test('a packet just resent is not taken up again until its linger is over', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, 0);
  repairs.done(true, 100);
  assert.equal(repairs.peek(), undefined);
  assert.equal(repairs.request(7, 100 + REPAIR_LINGER_MS - 0.01), 'lingering');
  assert.equal(repairs.request(7, 100 + REPAIR_LINGER_MS), 'queued');
});

test('while another waits, a packet just resent is not taken up again for longer', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, 0);
  repairs.done(true, 100);
  repairs.request(8, 100);
  assert.equal(repairs.request(7, 100 + REPAIR_LINGER_BUSY_MS - 0.01), 'lingering');
  assert.equal(repairs.request(7, 100 + REPAIR_LINGER_BUSY_MS), 'queued');
});

test('a packet that had left the window does not linger', () => {
  const repairs = new RepairScheduler();
  repairs.request(7, 0);
  repairs.done(false, 0);
  assert.equal(repairs.request(7, 0), 'queued');
});

test('repairs leave in the order in which they were asked for, over many thousands', () => {
  const repairs = new RepairScheduler();
  let asked = 0;
  let left = 0;
  for (let round = 0; round < 5_000; round += 1) {
    for (let n = 0; n < 3; n += 1) repairs.request(asked++, round);
    for (let n = 0; n < 2; n += 1) {
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
    repairs.request(sqn, atMs);
    repairs.done(true, atMs);
  }
  const nowMs = 1.1 * REPAIR_LINGER_BUSY_MS + REPAIR_LINGER_MS / 2;
  repairs.forgetLingers(nowMs);
  assert.equal(repairs.request(2, nowMs), 'queued');
  assert.equal(repairs.request(1, nowMs), 'lingering');
});

test('done without a queue changes nothing', () => {
  const repairs = new RepairScheduler();
  repairs.done(true, 0);
  assert.deepEqual([repairs.length, repairs.peek()], [0, undefined]);
  assert.equal(repairs.request(0, 0), 'queued');
});
