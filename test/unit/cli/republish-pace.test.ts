import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepublishPace } from '#cli/republish-pace.ts';

const START_US = 1_800_000_000_000_000;

function at(ms: number): number {
  return START_US + ms * 1_000;
}

test('messages keep their distances', () => {
  const pace = new RepublishPace({ speed: 1 });
  assert.equal(pace.waitMs(at(0), 5_000), 0);
  assert.equal(pace.waitMs(at(250), 5_000), 250);
  assert.equal(pace.waitMs(at(1_000), 5_250), 750);
});

test('a speed divides the distances', () => {
  const pace = new RepublishPace({ speed: 4 });
  pace.waitMs(at(0), 0);
  assert.equal(pace.waitMs(at(1_000), 0), 250);
});

test('the highest speed waits for nothing', () => {
  const pace = new RepublishPace({ speed: Number.POSITIVE_INFINITY });
  pace.waitMs(at(0), 0);
  assert.equal(pace.waitMs(at(86_400_000), 0), 0);
});

test('who is late catches up, and then waits again', () => {
  const pace = new RepublishPace({ speed: 1 });
  pace.waitMs(at(0), 0);
  assert.equal(pace.waitMs(at(100), 500), 0);
  assert.equal(pace.waitMs(at(600), 500), 100);
});

test('a message from before the one before it is due at once, and moves nothing', () => {
  const pace = new RepublishPace({ speed: 1 });
  pace.waitMs(at(0), 0);
  assert.equal(pace.waitMs(at(-400), 0), 0);
  assert.equal(pace.waitMs(at(100), 0), 100);
});

test('a silence is as long as it may be', () => {
  const pace = new RepublishPace({ speed: 1, pauseMsMax: 50 });
  pace.waitMs(at(0), 0);
  assert.equal(pace.waitMs(at(10), 0), 10);
  assert.equal(pace.waitMs(at(10_000), 0), 60);
  assert.equal(pace.waitMs(at(10_020), 60), 20);
});
