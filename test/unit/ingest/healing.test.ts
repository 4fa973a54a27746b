import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealOffer } from '#archive/mod.ts';
import { planHeals } from '#ingest/healing.ts';
import { HealOffering, OFFERED_BYTES_MAX } from '#ingest/heal-offering.ts';
import { writeSpooledEvent } from '#ingest/spool/mod.ts';
import { newBlockReader } from '#multicast/wire/mod.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { delivered } from '#test/support/receiver-events.ts';

function offer(firstSequence: number, count: number, by = 'other', session = SESSION_A): HealOffer {
  const payloads = Array.from({ length: count }, (_, index) =>
    Buffer.from(`${firstSequence + index}`),
  );
  const event = delivered(session, firstSequence, payloads);
  const lastSequence = firstSequence + count - 1;
  const content = writeSpooledEvent({ event, heardAtUs: 5 });
  return { session, firstSequence, lastSequence, by, content };
}

function loss(firstSequence: number, lastSequence: number, session = SESSION_A) {
  return { session, firstSequence, lastSequence };
}

/** What is healed, in the order in which it is. */
function texts(...given: Parameters<typeof planHeals>): string[] {
  return planHeals(...given).flatMap(({ messages, by }) => {
    const reader = newBlockReader('native');
    assert.equal(reader.open(messages.bytes, messages.start, messages.end), undefined);
    assert.equal(reader.messageCount, messages.lastSequence - messages.firstSequence + 1);
    const found: string[] = [];
    while (reader.next()) {
      const payload = messages.bytes.subarray(reader.payloadStart, reader.payloadEnd);
      found.push(`${by} ${Buffer.from(payload).toString()}`);
    }
    return found;
  });
}

test('of a block only what is lost is taken', () => {
  const lost = [loss(3, 4), loss(6, 6)];
  assert.deepEqual(texts([offer(1, 7)], lost, 'native'), ['other 3', 'other 4', 'other 6']);
});

test('a loss that several archivers offer is healed once', () => {
  const offers = [offer(1, 3, 'one'), offer(2, 3, 'two')];
  assert.deepEqual(texts(offers, [loss(1, 9)], 'native'), ['one 1', 'one 2', 'one 3', 'two 4']);
});

test('what is not lost, or of another session, heals nothing', () => {
  assert.deepEqual(texts([offer(5, 2)], [loss(1, 4), loss(5, 6, SESSION_B)], 'native'), []);
});

test('what finds no room to be offered is let go of and counted', () => {
  const offering = new HealOffering('me');
  const payload = Buffer.alloc(OFFERED_BYTES_MAX / 2);
  for (let sequence = 1; sequence <= 3; sequence += 1)
    offering.add(delivered(SESSION_A, sequence, [payload]), 0);
  assert.equal(offering.droppedMessages, 2);
  assert.deepEqual(offering.take(1_000), []);
  const [taken] = offering.take(OFFERED_BYTES_MAX);
  assert.deepEqual([taken?.firstSequence, taken?.by, offering.isEmpty], [1, 'me', true]);
  offering.giveBack(taken === undefined ? [] : [taken]);
  assert.equal(offering.take(OFFERED_BYTES_MAX).length, 1);
});
