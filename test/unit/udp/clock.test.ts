// The sources of the clock are variables here, moved by the test.

import assert from 'node:assert/strict';
import test from 'node:test';
import { createWallClock, monotonicMs, processRandom, wallClockUs } from '#multicast/udp/mod.ts';

const ORIGIN_MS = 1_795_345_858_887.25;

function movableClock(): { monotonicMs: number; stepMs: number; readonly readUs: () => number } {
  const sources = { monotonicMs: 0, stepMs: 0, readUs: () => 0 };
  sources.readUs = createWallClock({
    originMs: ORIGIN_MS,
    monotonicMs: () => sources.monotonicMs,
    dateMs: () => Math.floor(ORIGIN_MS + sources.monotonicMs + sources.stepMs),
  });
  return sources;
}

test('the wall clock is as fine as the monotonic one', () => {
  const clock = movableClock();
  assert.equal(clock.readUs(), ORIGIN_MS * 1_000);
  clock.monotonicMs += 0.25;
  assert.equal(clock.readUs(), ORIGIN_MS * 1_000 + 250);
  for (let i = 0; i < 1_000; i += 1) {
    clock.monotonicMs += 0.5;
    assert.equal(clock.readUs(), ORIGIN_MS * 1_000 + 250 + 500 * (i + 1));
  }
});

for (const stepMs of [3_600_000, -3_600_000, 5, -5]) {
  test(`the wall clock follows a step of ${stepMs} ms`, () => {
    const clock = movableClock();
    clock.readUs();
    clock.stepMs = stepMs;
    const errorUs = clock.readUs() - (ORIGIN_MS + stepMs) * 1_000;
    assert.ok(Math.abs(errorUs) <= 1_000, `${errorUs} µs off`);
    const before = clock.readUs();
    clock.monotonicMs += 0.125;
    assert.equal(clock.readUs() - before, 125);
  });
}

test('the wall clock follows a slow drift to within 2 ms', () => {
  const clock = movableClock();
  for (let i = 0; i < 10_000; i += 1) {
    clock.monotonicMs += 1;
    clock.stepMs += 0.01;
    const errorUs = clock.readUs() - (ORIGIN_MS + clock.monotonicMs + clock.stepMs) * 1_000;
    assert.ok(Math.abs(errorUs) <= 2_001, `${errorUs} µs off after ${i} ms`);
  }
});

test('the real clocks agree with the date and do not stand still', () => {
  assert.ok(Math.abs(wallClockUs() / 1_000 - Date.now()) < 5);
  const startMs = monotonicMs();
  while (monotonicMs() === startMs);
  assert.ok(monotonicMs() > startMs);
});

test('the generator of a thread is one and the same, and does not repeat itself', () => {
  const random = processRandom();
  assert.equal(processRandom(), random);
  const drawn = new Set(Array.from({ length: 1_000 }, () => random()));
  assert.equal(drawn.size, 1_000);
});
