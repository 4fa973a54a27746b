import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import type { ReplayedRun } from '#client/replay-source.ts';
import { SubscriptionReader } from '#client/subscription-reader.ts';

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const RUN: ReplayedRun = {
  kind: 'messages',
  session: SESSION,
  source: 'gateway-7',
  firstPosition: 101,
  firstSequence: 11,
  messageCount: 3,
  throughSequence: 13,
  archivedAtUs: 5,
  publishedAtUs: [1, 2, 3],
  payloadEnds: [2, 2, 5],
  payloads: Buffer.from('abcde'),
};

function newReader(): SubscriptionReader {
  return new SubscriptionReader('native', {
    position: 100,
    begin: 'one',
    nexts: new Map(),
    ended: new Set(),
  });
}

function texts(run: ReplayedRun, skippedCount = 0): string[] {
  const told = { kind: 'replayed_run', run, skippedCount, isInPlace: true } as const;
  return [...newReader().items(told)].flatMap((one) =>
    one.kind === 'message' ? [`${one.position} ${one.sequence} ${text(one.payload)}`] : [],
  );
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

test('the messages of a run come with their places and bytes, empty ones too', () => {
  assert.deepEqual(texts(RUN), ['101 11 ab', '102 12 ', '103 13 cde']);
  assert.deepEqual(texts(RUN, 2), ['103 13 cde']);
});

test('payloads may lie apart', () => {
  const apart = {
    payloadStarts: [1, 4, 5],
    payloadEnds: [2, 4, 7],
    payloads: Buffer.from('.a..-bc'),
  };
  assert.deepEqual(texts({ ...RUN, ...apart }), ['101 11 a', '102 12 ', '103 13 bc']);
});

test('the place is behind the message that was taken last, not behind its run', () => {
  const reader = newReader();
  const told = { kind: 'replayed_run', run: RUN, skippedCount: 0, isInPlace: true } as const;
  const items = reader.items(told);
  items.next();
  items.next();
  assert.deepEqual([reader.place.position, reader.place.nexts.get(SESSION)], [102, 13]);
});

test('a run that was fetched moves its session and no place', () => {
  const reader = newReader();
  const told = { kind: 'replayed_run', run: RUN, skippedCount: 0, isInPlace: false } as const;
  assert.equal([...reader.items(told)].length, 3);
  assert.deepEqual([reader.place.position, reader.place.nexts.get(SESSION)], [100, 14]);
});

test('of very many sessions a cursor forgets those that are over, oldest first', () => {
  const reader = newReader();
  for (let number = 1; number <= 1_100; number += 1) {
    const session = number.toString(16).padStart(16, '0') as SessionId;
    const lost = { kind: 'lost', session, first: 1, last: 1, cause: 'resync' } as const;
    assert.equal([...reader.items(lost)].length, 1);
    if (number % 2 === 0)
      assert.ok(reader.items({ kind: 'session', session, state: 'closed' }).next());
  }
  const { nexts, begin } = reader.place;
  assert.ok(nexts.size <= 1_100 && !nexts.has('0000000000000002' as SessionId));
  assert.ok(nexts.has('0000000000000001' as SessionId), 'one that is open is kept');
  assert.equal(begin, 'archive');
});
