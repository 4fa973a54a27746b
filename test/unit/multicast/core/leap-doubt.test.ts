import assert from 'node:assert/strict';
import test from 'node:test';
import { RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';
import { LeapDoubt } from '#multicast/core/leap-doubt.ts';

const FAR = 2 ** 30;

test('a trail within reach is believed at once', () => {
  const doubt = new LeapDoubt();
  assert.equal(doubt.isDoubtful(100 + RECEIVE_WINDOW_PACKETS_MAX, 100), false);
  assert.equal(doubt.isDoubtful(101 + RECEIVE_WINDOW_PACKETS_MAX, 100), true);
});

test('a trail out of reach is believed when three packets in a row agree', () => {
  const doubt = new LeapDoubt();
  const answers = [FAR, FAR + 10, FAR + 20].map((trail) => doubt.isDoubtful(trail, 100));
  assert.deepEqual(answers, [true, true, false]);
});

test('a packet that disagrees, or a sound one, begins the count again', () => {
  const doubt = new LeapDoubt();
  const trails = [FAR, FAR, 50, FAR, FAR, 2 * FAR, FAR, FAR, FAR];
  const answers = trails.map((trail) => doubt.isDoubtful(trail, 100));
  assert.deepEqual(answers, [true, true, false, true, true, true, true, true, false]);
});
