// How a publisher ends: it drains, lingers for repairs, and is over.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  AT_US,
  drain,
  kinds,
  LINGER_MS,
  newPublisher,
  run,
  sentPublisher,
} from '#test/support/driven-publisher.ts';
import { hear, nakPacket } from '#test/support/session-packets.ts';

test('closing sends what was accepted, then shows the end until the linger is over', () => {
  const publisher = newPublisher();
  run(publisher, 100);
  publisher.publish(new Uint8Array(10), AT_US, 100);
  publisher.close(100);
  assert.deepEqual(drain(publisher), ['odata 0', 'spm 0-0 fin']);
  assert.equal(publisher.state, 'lingering');
  const texts = run(publisher, 100 + LINGER_MS, true);
  assert.deepEqual(new Set(texts), new Set(['spm 0-0 fin']));
  assert.deepEqual(kinds(publisher), ['closed']);
  assert.deepEqual([publisher.state, publisher.nextDeadlineMs], ['closed', Infinity]);
});

test('however short the linger, the end is shown three times', () => {
  for (const lingerMs of [0, 1, 30]) {
    const publisher = sentPublisher(1, { lingerMs });
    run(publisher, 100);
    publisher.close(100);
    // Nobody calls for a while, as on a busy host.
    assert.deepEqual(drain(publisher), ['spm 0-0 fin']);
    publisher.handleTimeout(1_000);
    assert.deepEqual(drain(publisher), ['spm 0-0 fin']);
    assert.equal(publisher.state, 'lingering');
    assert.ok(publisher.nextDeadlineMs > 1_000, 'nothing is due at once');
    assert.deepEqual(run(publisher, 2_000, true), ['spm 0-0 fin']);
    assert.equal(publisher.state, 'closed');
  }
});

test('a publisher that never published ends as well', () => {
  const publisher = newPublisher();
  publisher.close(0);
  publisher.close(1);
  run(publisher, LINGER_MS);
  assert.equal(publisher.state, 'closed');
});

test('after close nothing is accepted', () => {
  const publisher = newPublisher();
  publisher.close(0);
  assert.equal(publisher.publish(new Uint8Array(1), AT_US, 1), 'closed');
});

test('a backlog drains at the rate before the end is shown', () => {
  const publisher = newPublisher({ rateBytesPerSec: 10_000 });
  for (let n = 0; n < 8; n += 1) publisher.publish(new Uint8Array(200), AT_US, 0);
  publisher.close(0);
  const texts = run(publisher, 60, true);
  assert.equal(publisher.state, 'draining');
  assert.equal(
    texts.some((text) => text.endsWith('fin')),
    false,
  );
  run(publisher, 1_000);
  assert.equal(publisher.state, 'lingering');
  assert.equal(publisher.counters.packetsSent, 8);
});

test('repairs are answered during the linger, and extend it', () => {
  const publisher = sentPublisher(3);
  publisher.close(1_000);
  run(publisher, 1_900);
  hear(publisher, 1_900, nakPacket([2]));
  assert.deepEqual(drain(publisher), ['ncf 2', 'rdata 2']);
  run(publisher, 2_899);
  assert.equal(publisher.state, 'lingering');
  run(publisher, 2_900);
  assert.equal(publisher.state, 'closed');
});

test('repairs that still wait when the linger ends are sent first, without a busy wait', () => {
  const publisher = sentPublisher(16, { rateBytesPerSec: 8_000 }, 150);
  const startMs = 5_000;
  run(publisher, startMs);
  publisher.close(startMs);
  const asked = Array.from({ length: 16 }, (_, index) => index);
  for (let nowMs = startMs; nowMs <= startMs + 900; nowMs += 100) {
    run(publisher, nowMs);
    hear(publisher, nowMs, nakPacket(asked));
  }
  run(publisher, startMs + 4 * LINGER_MS);
  assert.equal(publisher.state, 'closed');
});

test('NAKs without end do not keep a closed publisher for ever', () => {
  const publisher = sentPublisher(16, { rateBytesPerSec: 1_000 }, 300);
  run(publisher, 10_000);
  publisher.close(10_000);
  const asked = Array.from({ length: 16 }, (_, index) => index);
  for (let nowMs = 10_000; nowMs < 10_000 + 11 * LINGER_MS; nowMs += 20) {
    hear(publisher, nowMs, nakPacket(asked));
    run(publisher, nowMs);
  }
  assert.equal(publisher.state, 'closed');
});

test('a closed publisher answers nothing', () => {
  const publisher = sentPublisher(3);
  publisher.close(1_000);
  run(publisher, 1_000 + LINGER_MS);
  hear(publisher, 3_000, nakPacket([1]));
  publisher.handleTimeout(3_000);
  assert.deepEqual(drain(publisher), []);
});
