// The framing zmq against a model that knows of a message only in which packets it lies: it is
// delivered if all of them came. Messages lie across packets at will; packets are given up at will;
// the receiver may join late, or stop and go on with another.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { zmqMessage } from '#multicast/wire/mod.ts';
import {
  accounted,
  cutStream,
  FIRST_SQN,
  newDelivery,
  PLACES,
  type PlacedMessage,
  type StreamPacket,
  type ToldMessage,
} from '#test/support/stream-deliveries.ts';

const parts = fc.array(fc.nat(300), { minLength: 1, maxLength: 3 });
const sizes = fc.array(parts, { minLength: 1, maxLength: 20 });
const slices = fc.array(fc.integer({ min: 1, max: 250 }), { minLength: 1, maxLength: 5 });
const drops = fc.array(fc.nat(60), { maxLength: 8 });

function messagesOf(all: readonly (readonly number[])[]): Uint8Array[] {
  return all.map((lengths, n) => zmqMessage(lengths.map((bytes) => new Uint8Array(bytes).fill(n))));
}

function toNumbers(dropped: readonly number[]): Set<number> {
  return new Set(dropped.map((n) => FIRST_SQN + n));
}

function isWhole({ firstSqn, lastSqn }: PlacedMessage, gone: ReadonlySet<number>): boolean {
  for (let sqn = firstSqn; sqn <= lastSqn; sqn += 1) if (gone.has(sqn)) return false;
  return true;
}

function foreignSequence({ firstSqn, index }: PlacedMessage): number {
  return firstSqn * PLACES + index;
}

interface Source {
  readonly isForeign: boolean;
  readonly packets: readonly StreamPacket[];
  readonly gone: ReadonlySet<number>;
}

/** Feeds the packets from `fromSqn` on to `delivery`, at most `count` of them. */
function feed(
  { delivery }: ReturnType<typeof newDelivery>,
  { isForeign, packets, gone }: Source,
  fromSqn: number,
  count: number,
): void {
  for (const { sqn, tsdu, firstStart } of packets.slice(fromSqn - FIRST_SQN).slice(0, count)) {
    const sequence = isForeign ? sqn * PLACES : firstStart + 1;
    if (gone.has(sqn)) delivery.hole('repair_expired', { first: sqn, last: sqn });
    else delivery.packet(sqn, sequence, tsdu, 0, tsdu.length, undefined);
  }
}

/** Where to go on, as the delivery itself says or as the last thing it told does. */
function resumePoint(
  { delivery, events }: ReturnType<typeof newDelivery>,
  isFromEvents: boolean,
): { readonly nextSequence: number | undefined; readonly resumeSqn: number | undefined } {
  const last = events.at(-1);
  if (!isFromEvents || last === undefined || !('nextSqn' in last)) return delivery;
  return { nextSequence: last.lastSequence + 1, resumeSqn: last.nextSqn };
}

test('of a foreign stream, each message is told exactly if all its packets came', () => {
  fc.assert(
    fc.property(sizes, slices, drops, fc.nat(10), (all, cuts, dropped, joinAt) => {
      const { packets, placed } = cutStream(messagesOf(all), cuts);
      const gone = toNumbers(dropped);
      const fromSqn = FIRST_SQN + Math.min(joinAt, packets.length - 1);
      const scene = newDelivery('zmq', { isForeign: true });
      feed(scene, { isForeign: true, packets, gone }, fromSqn, packets.length);
      const endSqn = FIRST_SQN + packets.length;
      scene.delivery.conclude(endSqn * PLACES, endSqn);
      const { messages, lost, next } = accounted('zmq', scene.events);
      const heard = placed.filter(({ firstSqn }) => firstSqn >= fromSqn);
      const expected = heard
        .filter((message) => isWhole(message, gone))
        .map((message): ToldMessage => {
          return { sequence: foreignSequence(message), payload: message.bytes };
        });
      assert.deepEqual(messages, expected);
      const isComplete = ![...gone].some((sqn) => sqn >= fromSqn && sqn < endSqn);
      if (isComplete) assert.deepEqual(lost, []);
      if (!Number.isNaN(next)) assert.equal(next, endSqn * PLACES);
      assert.equal(scene.counters.corruptBlocks, 0);
    }),
    { numRuns: 2_000 },
  );
});

test('of a stream of ours, messages and losses are exactly the messages', () => {
  fc.assert(
    fc.property(sizes, slices, drops, (all, cuts, dropped) => {
      const { packets, placed } = cutStream(messagesOf(all), cuts);
      const gone = toNumbers(dropped);
      const scene = newDelivery('zmq', { isForeign: false, nextSequence: 1 });
      feed(scene, { isForeign: false, packets, gone }, FIRST_SQN, packets.length);
      scene.delivery.settled(placed.length + 1, FIRST_SQN + packets.length);
      const { messages, lost } = accounted('zmq', scene.events);
      const fates = placed.map((message) => isWhole(message, gone));
      const told = placed.map(() => false);
      for (const { sequence } of messages) told[sequence - 1] = true;
      assert.deepEqual(told, fates);
      const lostCount = lost.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      assert.equal(lostCount, fates.filter((fate) => !fate).length);
      assert.equal(scene.counters.messagesLost, lostCount);
    }),
    { numRuns: 2_000 },
  );
});

test('who goes on where another stopped is told what comes after, and nothing twice', () => {
  fc.assert(
    fc.property(
      fc.record({ isForeign: fc.boolean(), isFromEvents: fc.boolean() }),
      sizes,
      slices,
      drops,
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 }),
      ({ isForeign, isFromEvents }, all, cuts, dropped, runs) => {
        const { packets, placed } = cutStream(messagesOf(all), cuts);
        const source = { isForeign, packets, gone: toNumbers(dropped) };
        const nextSequence = isForeign ? undefined : 1;
        const whole = newDelivery('zmq', { isForeign, nextSequence });
        feed(whole, source, FIRST_SQN, packets.length);
        const { events, counters } = newDelivery('zmq', { isForeign });
        const told = { events, counters };
        let scene = newDelivery('zmq', { isForeign, nextSequence, told });
        let fromSqn = FIRST_SQN;
        for (const run of [...runs, packets.length]) {
          feed(scene, source, fromSqn, run);
          const { nextSequence: next, resumeSqn } = resumePoint(scene, isFromEvents);
          if (resumeSqn === undefined || run === packets.length) {
            fromSqn += run;
            continue;
          }
          scene = newDelivery('zmq', { isForeign, nextSequence: next, resumeSqn, told });
          fromSqn = resumeSqn;
        }
        const endSqn = FIRST_SQN + packets.length;
        for (const { delivery } of [whole, scene]) {
          if (isForeign) delivery.conclude(endSqn * PLACES, endSqn);
          else delivery.settled(placed.length + 1, endSqn);
        }
        const expected = accounted('zmq', whole.events);
        const actual = accounted('zmq', told.events);
        assert.deepEqual(actual.messages, expected.messages);
        assert.deepEqual(actual.next, expected.next);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('any bytes in any packets: sequences stay tiled, and what is told is sound', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }).map((tail) => Uint8Array.of(0, 0, 2, 0, 7, ...tail)),
    fc.uint8Array({ maxLength: 40 }).map((tail) => Uint8Array.of(0xff, 0xff, ...tail)),
  );
  const packet = fc.record({ bytes, isGone: fc.nat(9), sequence: fc.nat(50) });
  fc.assert(
    fc.property(fc.boolean(), fc.array(packet, { maxLength: 30 }), (isForeign, packets) => {
      const scene = newDelivery('zmq', { isForeign, messageBytesMax: 100 });
      for (const [n, { bytes: tsdu, isGone, sequence }] of packets.entries()) {
        const sqn = FIRST_SQN + n;
        if (isGone === 0) scene.delivery.hole('repair_expired', { first: sqn, last: sqn });
        const number = isForeign ? sqn * PLACES : sequence + 1;
        if (isGone > 0) scene.delivery.packet(sqn, number, tsdu, 0, tsdu.length, undefined);
      }
      accounted('zmq', scene.events);
    }),
    { numRuns: 20_000 },
  );
});
