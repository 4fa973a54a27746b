import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '#base/mod.ts';
import {
  feedbackChance,
  feedbackDelayMs,
  NAK_BACKOFF_MS_MAX,
} from '#multicast/core/feedback-delay.ts';

const GROUP_SIZES = [1, 10, 1_000, 10_000];

test('the least draw waits not at all, the greatest the longest time', () => {
  for (const groupSize of GROUP_SIZES) {
    assert.equal(
      feedbackDelayMs(() => 0, groupSize),
      0,
    );
    const longestMs = feedbackDelayMs(() => 1, groupSize);
    assert.ok(Math.abs(longestMs - NAK_BACKOFF_MS_MAX) < 1e-9);
  }
});

test('delays follow the truncated exponential of RFC 5401', () => {
  for (const groupSize of GROUP_SIZES) {
    const random = seededRandom(3);
    const draws = Array.from({ length: 50_000 }, () => feedbackDelayMs(random, groupSize));
    const lambda = Math.log(groupSize) + 1;
    for (const part of [0.1, 0.25, 0.5, 0.75, 0.9]) {
      const below = draws.filter((waitMs) => waitMs < part * NAK_BACKOFF_MS_MAX).length;
      const expected = (Math.exp(lambda * part) - 1) / (Math.exp(lambda) - 1);
      assert.ok(Math.abs(below / draws.length - expected) < 0.01, `${part}: ${below}`);
    }
  }
});

test('the chance of a delay is the number it was drawn from', () => {
  for (const groupSize of GROUP_SIZES) {
    for (const draw of [0, 0.001, 0.3, 0.999, 1]) {
      const chance = feedbackChance(
        feedbackDelayMs(() => draw, groupSize),
        groupSize,
      );
      assert.ok(Math.abs(chance - draw) < 1e-9, `${groupSize}: ${draw} gives ${chance}`);
    }
    assert.equal(feedbackChance(-1, groupSize), 0);
    assert.equal(feedbackChance(2 * NAK_BACKOFF_MS_MAX, groupSize), 1);
  }
});

test('of receivers that miss the same packet few ask before the first is heard', () => {
  for (const groupSize of GROUP_SIZES) {
    const random = seededRandom(4);
    const tripMs = 0.3;
    const rounds = 200;
    let asked = 0;
    for (let round = 0; round < rounds; round += 1) {
      const delays = Array.from({ length: groupSize }, () => feedbackDelayMs(random, groupSize));
      const first = delays.reduce((one, other) => Math.min(one, other));
      asked += delays.filter((waitMs) => waitMs <= first + tripMs).length;
    }
    assert.ok(asked / rounds < 2, `${asked / rounds} requests of ${groupSize}`);
  }
});
