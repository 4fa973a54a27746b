import assert from 'node:assert/strict';
import test from 'node:test';
import { newReceiverCounters, RejectionReport } from '#multicast/core/mod.ts';

test('rejections are reported once a minute at most, and each of them once', () => {
  const counters = newReceiverCounters();
  const report = new RejectionReport();
  assert.equal(report.poll(counters, 0), undefined);
  counters.unauthenticatedWrong = 1;
  assert.deepEqual(report.poll(counters, 5), { missing: 0, unknownKey: 0, wrong: 1 });
  counters.unauthenticatedMissing = 7;
  counters.unauthenticatedUnknownKey = 2;
  counters.unauthenticatedWrong = 4;
  assert.equal(report.poll(counters, 60_004), undefined);
  assert.deepEqual(report.poll(counters, 60_005), { missing: 7, unknownKey: 2, wrong: 3 });
  assert.equal(report.poll(counters, 200_000), undefined);
});
