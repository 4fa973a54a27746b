import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoundTrip } from '#multicast/core/round-trip.ts';

const BOUNDS = { timeoutMsFirst: 100, timeoutMsMin: 20, timeoutMsMax: 400 };

test('before any answer the first timeout holds', () => {
  assert.equal(new RoundTrip(BOUNDS).timeoutMs, 100);
});

test('steady quick answers bring the timeout down to the lower bound', () => {
  const trip = new RoundTrip(BOUNDS);
  for (let answer = 0; answer < 50; answer += 1) trip.sample(1);
  assert.equal(trip.timeoutMs, 20);
});

test('slow answers raise the timeout above them, and the upper bound holds', () => {
  const trip = new RoundTrip(BOUNDS);
  for (let answer = 0; answer < 50; answer += 1) trip.sample(150);
  assert.ok(trip.timeoutMs >= 150 && trip.timeoutMs < 200, `${trip.timeoutMs}`);
  for (let answer = 0; answer < 50; answer += 1) trip.sample(5_000);
  assert.equal(trip.timeoutMs, 400);
});

test('answers that vary leave room for their variation', () => {
  const trip = new RoundTrip(BOUNDS);
  for (let answer = 0; answer < 100; answer += 1) trip.sample(answer % 2 === 0 ? 10 : 50);
  assert.ok(trip.timeoutMs > 80 && trip.timeoutMs < 200, `${trip.timeoutMs}`);
});
