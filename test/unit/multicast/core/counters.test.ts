import assert from 'node:assert/strict';
import test from 'node:test';
import {
  newPublisherCounters,
  newReceiverCounters,
  newSessionCounters,
  PUBLISHER_COUNTERS,
  RECEIVER_COUNTERS,
  SESSION_COUNTERS,
} from '#multicast/core/mod.ts';

test('every counter that is described starts at zero, and no other exists', () => {
  const rows = [
    [PUBLISHER_COUNTERS, newPublisherCounters()],
    [RECEIVER_COUNTERS, newReceiverCounters()],
    [SESSION_COUNTERS, newSessionCounters()],
  ] as const;
  for (const [registry, counters] of rows) {
    assert.deepEqual(Object.keys(counters), Object.keys(registry));
    assert.ok(Object.values(counters).every((count) => count === 0));
  }
});

test('every counter is explained by one sentence', () => {
  for (const registry of [PUBLISHER_COUNTERS, RECEIVER_COUNTERS, SESSION_COUNTERS]) {
    for (const { sentence } of Object.values(registry)) assert.match(sentence, /^[A-Z].+\.$/);
  }
});

test('a counter of a session means what the same counter of the receiver means', () => {
  for (const [name, description] of Object.entries(SESSION_COUNTERS))
    assert.deepEqual({ ...RECEIVER_COUNTERS }[name], description);
});

test('two machines never count into the same numbers', () => {
  const one = newReceiverCounters();
  one.malformed += 1;
  assert.equal(newReceiverCounters().malformed, 0);
});
