import assert from 'node:assert/strict';
import test from 'node:test';
import {
  newPublisherCounters,
  newReceiverCounters,
  PUBLISHER_COUNTERS,
  RECEIVER_COUNTERS,
} from '#multicast/core/mod.ts';

test('every counter that is described starts at zero, and no other exists', () => {
  const rows = [
    [PUBLISHER_COUNTERS, newPublisherCounters()],
    [RECEIVER_COUNTERS, newReceiverCounters()],
  ] as const;
  for (const [registry, counters] of rows) {
    assert.deepEqual(Object.keys(counters), Object.keys(registry));
    assert.ok(Object.values(counters).every((count) => count === 0));
  }
});

test('every counter is explained by one sentence', () => {
  for (const registry of [PUBLISHER_COUNTERS, RECEIVER_COUNTERS]) {
    for (const { sentence } of Object.values(registry)) assert.match(sentence, /^[A-Z].+\.$/);
  }
});

test('two machines never count into the same numbers', () => {
  const one = newReceiverCounters();
  one.malformed += 1;
  assert.equal(newReceiverCounters().malformed, 0);
});
