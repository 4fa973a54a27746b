import assert from 'node:assert/strict';
import test from 'node:test';
import { seededRandom } from '#base/mod.ts';
import {
  feedbackDelayMs,
  NAK_BACKOFF_MS_MAX,
  NAK_GROUP_SIZE,
} from '#multicast/core/feedback-delay.ts';

test('the least draw waits not at all, the greatest the longest time', () => {
  assert.ok(Math.abs(feedbackDelayMs(() => 0)) < 1e-9);
  assert.ok(feedbackDelayMs(() => 0) >= 0);
  assert.ok(Math.abs(feedbackDelayMs(() => 1) - NAK_BACKOFF_MS_MAX) < 1e-9);
});

test('delays follow the truncated exponential of RFC 5401', () => {
  const random = seededRandom(3);
  const draws = Array.from({ length: 50_000 }, () => feedbackDelayMs(random));
  const lambda = Math.log(NAK_GROUP_SIZE) + 1;
  for (const part of [0.1, 0.25, 0.5, 0.75, 0.9]) {
    const below = draws.filter((waitMs) => waitMs < part * NAK_BACKOFF_MS_MAX).length;
    const expected = (Math.exp(lambda * part) - 1) / (Math.exp(lambda) - 1);
    assert.ok(Math.abs(below / draws.length - expected) < 0.01, `${part}: ${below}`);
  }
});

test('of ten receivers that miss the same packet few ask before the first is heard', () => {
  const random = seededRandom(4);
  const roundTripMs = 0.5;
  let asked = 0;
  for (let round = 0; round < 2_000; round += 1) {
    const delays = Array.from({ length: NAK_GROUP_SIZE }, () => feedbackDelayMs(random));
    const first = Math.min(...delays);
    asked += delays.filter((waitMs) => waitMs <= first + roundTripMs).length;
  }
  assert.ok(asked / 2_000 < 2, `${asked / 2_000} requests per loss`);
});
