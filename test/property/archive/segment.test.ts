import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SegmentBuilder, SegmentBuilderPool } from '#archive/segment/mod.ts';
import { SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { messagesOf, readSegment, SESSION_A, SESSION_B, segmentOf } from '#test/support/archive.ts';
import type { TestMessage } from '#test/support/archive.ts';

const session = fc.constantFrom<SessionId>(SESSION_A, SESSION_B, '00000001fffffff0' as SessionId);

const message: fc.Arbitrary<TestMessage> = fc.record({
  session,
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  payload: fc.uint8Array({ minLength: 0, maxLength: 400 }),
  publishedAtUs: fc.integer({ min: -1_000_000_000, max: 9_000_000_000_000_000 }),
});

test('what a segment is built of is what it reads back as, in order, at dense positions', () => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 2 ** 50 }),
      (messages, firstPosition) => {
        const segment = segmentOf(firstPosition, messages);
        const expected = messages.map((one, index) => ({
          ...one,
          payload: Buffer.from(one.payload),
          position: firstPosition + index,
        }));
        assert.deepEqual(readSegment(segment), expected);
        assert.equal(segment.messageCount, messages.length);
        const bytes = messages.reduce((sum, one) => sum + one.payload.length, 0);
        assert.equal(segment.payloadBytes, bytes);
        const instants = messages.map((one) => one.publishedAtUs);
        assert.equal(segment.minPublishedAtUs, Math.min(...instants));
        assert.equal(segment.maxPublishedAtUs, Math.max(...instants));
      },
    ),
  );
});

test('messages are taken from any place of a larger buffer', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 0, maxLength: 600 }),
      fc.nat(20),
      fc.nat(20),
      (payload, before, after) => {
        const whole = new Uint8Array(before + payload.length + after + 7).fill(0xee);
        const view = whole.subarray(7);
        view.set(payload, before);
        const builder = new SegmentBuilder();
        builder.append(SESSION_A, 1, view, before, before + payload.length, 0);
        assert.deepEqual(readSegment(builder.finish(1))[0].payload, Buffer.from(payload));
      },
    ),
  );
});

test('a message of 1 MiB and an empty one keep their bytes', () => {
  const large = new Uint8Array(1_048_576).map((_, index) => index * 31);
  const messages = [
    ...messagesOf(SESSION_A, 1, 3),
    { session: SESSION_A, sequence: 4, payload: new Uint8Array(0), publishedAtUs: 1 },
    { session: SESSION_A, sequence: 5, payload: large, publishedAtUs: 2 },
    { session: SESSION_A, sequence: 6, payload: large, publishedAtUs: 3 },
  ];
  const read = readSegment(segmentOf(1, messages));
  assert.equal(read[3].payload.length, 0);
  assert.deepEqual(read[4].payload, Buffer.from(large));
  assert.deepEqual(read[5].payload, Buffer.from(large));
});

test('a segment of alternating sessions has a run per message', () => {
  const mixed = Array.from({ length: SEGMENT_MESSAGES_MAX }, (_, index) => {
    const one = index % 2 === 0 ? SESSION_A : SESSION_B;
    return messagesOf(one, 1 + Math.floor(index / 2), 1)[0];
  });
  const segment = segmentOf(1, mixed);
  assert.equal(segment.runs.length, SEGMENT_MESSAGES_MAX);
  assert.deepEqual(
    readSegment(segment).map((one) => [one.session, one.sequence]),
    mixed.map((one) => [one.session, one.sequence]),
  );
});

test('a missing sequence starts a new run of the same session', () => {
  const messages = [...messagesOf(SESSION_A, 1, 2), ...messagesOf(SESSION_A, 4, 3)];
  assert.deepEqual(segmentOf(1, messages).runs, [
    { session: SESSION_A, firstSequence: 1, length: 2, lastSequence: 2 },
    { session: SESSION_A, firstSequence: 4, length: 3, lastSequence: 6 },
  ]);
});

test('a run accounts for the numbers behind it that name no message', () => {
  const builder = new SegmentBuilder();
  const told = [
    [7, 7],
    [8, 8],
    [9, 20],
    [21, Number.MAX_SAFE_INTEGER],
  ];
  for (const [sequence, through] of told) {
    builder.append(SESSION_A, sequence, new Uint8Array(1), 0, 1, 0);
    if (through > sequence) builder.coverThrough(through);
  }
  const segment = builder.finish(1);
  assert.equal(segment.isDense, false);
  assert.deepEqual(segment.runs, [
    { session: SESSION_A, firstSequence: 7, length: 3, lastSequence: 20 },
    { session: SESSION_A, firstSequence: 21, length: 1, lastSequence: Number.MAX_SAFE_INTEGER },
  ]);
  assert.throws(() => builder.coverThrough(21), { name: 'AssertionError' });
  builder.reset();
  builder.append(SESSION_A, 30, new Uint8Array(1), 0, 1, 0);
  const next = builder.finish(5);
  assert.equal(next.isDense, true);
  assert.equal(next.runs[0]?.lastSequence, 30);
});

test('a pool keeps a bounded number of builders, and none that has grown large', () => {
  const pool = new SegmentBuilderPool();
  const taken = Array.from({ length: 40 }, () => pool.take());
  for (const builder of taken) pool.give(builder);
  assert.equal(pool.spareCount, 32);
  const builder = pool.take();
  builder.append(SESSION_A, 1, new Uint8Array(4_000_000), 0, 4_000_000, 0);
  pool.give(builder);
  assert.equal(pool.spareCount, 31);
  const small = pool.take();
  small.append(SESSION_A, 1, new Uint8Array(4), 0, 4, 0);
  pool.give(small);
  assert.equal(pool.take().messageCount, 0);
});

test('a builder is full at the largest number of messages and takes no more', () => {
  const builder = new SegmentBuilder();
  const empty = new Uint8Array(0);
  for (let sequence = 1; sequence <= SEGMENT_MESSAGES_MAX; sequence += 1) {
    assert.equal(builder.isFull, false);
    builder.append(SESSION_A, sequence, empty, 0, 0, 0);
  }
  assert.equal(builder.isFull, true);
  assert.throws(() => builder.append(SESSION_A, 9_999, empty, 0, 0, 0), { name: 'AssertionError' });
});

test('a builder that was reset knows nothing of its last segment', () => {
  const builder = new SegmentBuilder();
  const payload = Buffer.from('first');
  builder.append(SESSION_A, 7, payload, 0, payload.length, 99);
  builder.finish(1);
  builder.reset();
  assert.equal(builder.messageCount, 0);
  assert.equal(builder.payloadBytes, 0);
  builder.append(SESSION_A, 8, payload, 0, 2, 50);
  const segment = builder.finish(2);
  assert.deepEqual(segment.runs, [
    { session: SESSION_A, firstSequence: 8, length: 1, lastSequence: 8 },
  ]);
  assert.equal(segment.maxPublishedAtUs, 50);
  assert.deepEqual(readSegment(segment)[0].payload, Buffer.from('fi'));
});
