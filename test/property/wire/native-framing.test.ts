// What goes into a block comes out of it; and any bytes are a block or are not, never an exception.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { randomBelow, seededRandom } from '#base/mod.ts';
import { countMessages, NativeBlockReader, NativeBlockWriter } from '#multicast/wire/mod.ts';
import { helloBlock } from '#test/support/packets.ts';

const CASES_PER_RUN = 250_000;

const payload = fc.uint8Array({ maxLength: 300 });
const publishedAtUs = fc.oneof(
  fc.integer({ min: 1_795_000_000_000_000, max: 1_795_000_100_000_000 }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
);
const message = fc.record({ payload, publishedAtUs }, { noNullPrototype: true });

type Message = { readonly payload: Uint8Array; readonly publishedAtUs: number };

function readBlock(bytes: Uint8Array, start: number, end: number): Message[] {
  const reader = new NativeBlockReader();
  assert.equal(reader.open(bytes, start, end), undefined);
  const messages: Message[] = [];
  while (reader.next()) {
    const payload = bytes.slice(reader.payloadStart, reader.payloadEnd);
    messages.push({ payload, publishedAtUs: reader.publishedAtUs });
  }
  assert.equal(reader.messageCount, messages.length);
  return messages;
}

test('the messages that went into a block come out of it', () => {
  const memory = new Uint8Array(2_000);
  const bounds = fc.tuple(fc.nat({ max: 100 }), fc.nat({ max: 1_800 }));
  fc.assert(
    fc.property(bounds, fc.array(message), ([start, room], messages) => {
      const writer = new NativeBlockWriter();
      writer.start(memory, start, start + room);
      const taken = messages.filter((m) => writer.append(m.payload, m.publishedAtUs));
      assert.equal(writer.messageCount, taken.length);
      assert.ok(writer.end <= start + room);
      assert.deepEqual(taken.length > 0 ? readBlock(memory, start, writer.end) : [], taken);
    }),
    { numRuns: 500 },
  );
});

test('any bytes are a block of messages within those bytes, or no block', () => {
  const seed = Date.now() >>> 0;
  const random = seededRandom(seed);
  const reader = new NativeBlockReader();
  const sound = helloBlock();
  let blocks = 0;
  for (let i = 0; i < CASES_PER_RUN; i += 1) {
    const bytes = sound.slice(0, sound.length - Math.max(0, randomBelow(random, 9) - 6));
    for (let change = randomBelow(random, 3); change >= 0; change -= 1) {
      bytes[randomBelow(random, bytes.length)] = randomBelow(random, 256);
    }
    if (reader.open(bytes, 0, bytes.length) !== undefined) continue;
    blocks += 1;
    let left = countMessages(bytes, 0, bytes.length);
    while (reader.next()) {
      left -= 1;
      const isWithin = reader.payloadStart <= reader.payloadEnd && reader.publishedAtUs >= 0;
      assert.ok(isWithin, `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`);
    }
    assert.ok(left === 0 && reader.payloadEnd === bytes.length, `seed ${seed}`);
  }
  assert.ok(blocks > CASES_PER_RUN / 100, `seed ${seed}: only ${blocks} were blocks`);
  assert.ok(blocks < CASES_PER_RUN, `seed ${seed}`);
});
