// Sources of other implementations that end, fall silent, come back or are started again: which
// session their packets are taken for.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isSessionId, type SessionId } from '#base/mod.ts';
import type { Receiver } from '#multicast/core/mod.ts';
import {
  eventsOf,
  foreignSpm,
  rawData,
  rawReceiver,
  ROUND,
  TSI,
} from '#test/support/foreign-packets.ts';
import { hear, SESSION_ID, told, waitUntil } from '#test/support/session-packets.ts';

function openedSessions(receiver: Receiver): SessionId[] {
  return eventsOf(receiver).flatMap((event) => (event.kind === 'opened' ? [event.session] : []));
}

test('a TSI that counts from the beginning again after a silence has another source', () => {
  for (const restart of [rawData(0), foreignSpm({ sqn: 0, lead: ROUND - 1 })]) {
    const receiver = rawReceiver();
    for (let sqn = 0; sqn < 9; sqn += 1) hear(receiver, 0, rawData(sqn));
    hear(receiver, 10, foreignSpm({ sqn: 5, lead: 8 }));
    const [first] = openedSessions(receiver);
    hear(receiver, 1_100, restart, rawData(0), rawData(1));
    const later = eventsOf(receiver);
    assert.deepEqual(later.map(({ kind }) => kind).slice(0, 2), ['closed', 'opened']);
    const [closed, opened] = later;
    assert.ok(closed?.session === first && opened?.session !== first);
    const numbers = later.flatMap((event) =>
      event.kind === 'messages' ? [event.firstSequence - ROUND] : [],
    );
    assert.deepEqual(numbers, [0, 1]);
  }
});

test('old SPMs alone betray a source that was started again without a pause', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0), rawData(1), foreignSpm({ sqn: 9, lead: 1 }));
  for (let ms = 100; ms <= 1_000; ms += 100) hear(receiver, ms, rawData(1 + ms / 100));
  told(receiver);
  hear(receiver, 1_050, foreignSpm({ sqn: 2, lead: 11 }));
  assert.deepEqual(told(receiver), ['closed expired', 'opened']);
});

test('repeated and late packets of a source that is being heard change nothing', () => {
  const receiver = rawReceiver();
  for (let n = 0; n < 40; n += 1) {
    hear(receiver, n * 100, rawData(n), foreignSpm({ sqn: n, lead: n }));
    hear(receiver, n * 100 + 50, rawData(Math.max(0, n - 5)));
    hear(receiver, n * 100 + 60, foreignSpm({ sqn: Math.max(0, n - 3), lead: Math.max(0, n - 3) }));
  }
  const kinds = eventsOf(receiver).filter(({ kind }) => kind !== 'messages');
  assert.deepEqual(
    kinds.map(({ kind }) => kind),
    ['opened'],
  );
});

test('a packet that was overtaken by the first one heard changes nothing', () => {
  for (const join of ['live', 'window'] as const) {
    const receiver = rawReceiver({ join });
    hear(receiver, 0, rawData(9, { trail: 9 }), rawData(8, { trail: 8 }), rawData(10));
    const kinds = eventsOf(receiver).map(({ kind }) => kind);
    assert.deepEqual(kinds, ['opened', 'messages', 'messages']);
  }
});

test('a source that comes back after long is known by its first packet', () => {
  for (const [sqn, expected] of [
    [3, ['opened', 'messages']],
    [0, ['opened', 'closed', 'opened', 'messages']],
  ] as const) {
    const receiver = rawReceiver({ join: 'live', sourceExpiryMs: 1_000 });
    for (const before of [0, 1, 2]) hear(receiver, 0, rawData(before));
    waitUntil(receiver, 20_000);
    told(receiver);
    hear(receiver, 20_000, rawData(sqn), rawData(Math.max(0, sqn - 2)));
    const kinds = eventsOf(receiver).map(({ kind }) => kind);
    assert.deepEqual(kinds, expected);
  }
});

test('a step far ahead is dropped while the source is heard, and another source afterwards', () => {
  const receiver = rawReceiver();
  const far = 2 ** 30;
  hear(receiver, 0, rawData(0), foreignSpm({ lead: 0 }));
  hear(receiver, 500, rawData(far, { trail: far }));
  assert.equal(receiver.counters.beyondWindow, 1);
  hear(receiver, 600, rawData(1));
  assert.equal(told(receiver).length, 3);
  hear(receiver, 2_000, rawData(far, { trail: far }));
  assert.deepEqual(told(receiver), [
    'closed expired',
    'opened',
    `messages ${ROUND + far}-${ROUND + far}`,
  ]);
});

test('after FIN its repeats and late packets open nothing', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0), foreignSpm({ sqn: 3, lead: 0, isFin: true }));
  assert.deepEqual(told(receiver).slice(-1), ['closed fin']);
  hear(
    receiver,
    10,
    foreignSpm({ sqn: 4, lead: 0, isFin: true }),
    rawData(0),
    foreignSpm({ lead: 0 }),
  );
  hear(receiver, 5_000, foreignSpm({ sqn: 5, lead: 0, isFin: true }));
  assert.deepEqual(told(receiver), []);
  assert.equal(receiver.counters.late, 4);
});

test('repairs that a lingering source sends to others open nothing', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0), foreignSpm({ sqn: 3, lead: 0, isFin: true }));
  told(receiver);
  for (let ms = 400; ms <= 2_000; ms += 400) {
    hear(receiver, ms, foreignSpm({ sqn: 3 + ms, lead: 0, isFin: true }));
  }
  hear(receiver, 2_900, rawData(0), rawData(0, { isRepair: true }));
  hear(receiver, 60_000, rawData(0, { isRepair: true }));
  assert.deepEqual(told(receiver), []);
});

test('a source that begins again after FIN is another session', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0), foreignSpm({ lead: 0, isFin: true }));
  const [first] = openedSessions(receiver);
  hear(receiver, 1_500, rawData(0), rawData(1));
  const [second] = openedSessions(receiver);
  assert.ok(second !== undefined && first !== second);
});

test('a source that is silent for long goes on in its session where it was left', () => {
  const receiver = rawReceiver({ sourceExpiryMs: 1_000 });
  hear(receiver, 0, rawData(0), foreignSpm({ lead: 0 }));
  const [session] = openedSessions(receiver);
  waitUntil(receiver, 9_900);
  assert.deepEqual(told(receiver), []);
  waitUntil(receiver, 10_100);
  assert.deepEqual(told(receiver), ['closed expired']);
  hear(receiver, 20_000, rawData(1));
  assert.deepEqual(openedSessions(receiver), [session]);
});

test('a later receiver goes on with the session that it is told the TSI has', () => {
  const earlier = rawReceiver();
  hear(earlier, 0, rawData(0), rawData(1));
  const told1 = eventsOf(earlier);
  const last = told1.at(-1);
  assert.ok(last?.kind === 'messages');
  const { session, nextSqn } = last;
  const resume = { session, nextSequence: last.lastSequence + 1, nextSqn, isForeign: true };
  const later = rawReceiver({ recallForeign: (tsi) => (tsi === TSI ? resume : undefined) });
  later.restore(resume, 0);
  hear(later, 0, rawData(3), foreignSpm({ lead: 3 }));
  assert.equal(waitUntil(later, 50)[0], 'nak 2 to 192.168.1.7:7500');
  hear(later, 60, rawData(2, { isRepair: true }));
  const first = ROUND + 2;
  assert.deepEqual(told(later), [
    'opened',
    `messages ${first}-${first}`,
    `messages ${first + 1}-${first + 1}`,
  ]);
  assert.equal(later.sessions()[0]?.session, session);
});

test('a session of which nothing was told yet begins with what comes first', () => {
  assert.ok(isSessionId(SESSION_ID));
  const resume = { session: SESSION_ID, nextSequence: 1, nextSqn: undefined };
  const receiver = rawReceiver({ join: 'live', recallForeign: () => resume });
  hear(receiver, 0, rawData(7));
  assert.deepEqual(told(receiver), ['opened', `messages ${ROUND + 7}-${ROUND + 7}`]);
});

test('a restored session of a foreign source is given longer to be heard', () => {
  assert.ok(isSessionId(SESSION_ID));
  const receiver = rawReceiver({ sourceExpiryMs: 1_000 });
  const resume = { session: SESSION_ID, nextSequence: ROUND, nextSqn: ROUND };
  receiver.restore({ ...resume, isForeign: true }, 0);
  waitUntil(receiver, 9_900);
  assert.deepEqual(told(receiver), []);
  waitUntil(receiver, 10_000);
  assert.deepEqual(told(receiver), ['closed expired']);
});
