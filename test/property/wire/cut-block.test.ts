// A cut block has the messages that were asked for, with their publish times, and no others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Framing } from '#base/mod.ts';
import {
  type Block,
  cutBlock,
  NativeBlockWriter,
  newBlockReader,
  zmqMessage,
} from '#multicast/wire/mod.ts';

const MESSAGES = fc.array(
  fc.record({
    payload: fc.uint8Array({ maxLength: 300 }),
    publishedAtUs: fc.integer({ min: 1_795_342_400_000_000, max: 1_795_342_401_000_000 }),
  }),
  { minLength: 1, maxLength: 12 },
);

interface Read {
  readonly payload: string;
  readonly publishedAtUs: number;
}

function read(framing: Framing, { bytes, start, end }: Block): Read[] {
  const reader = newBlockReader(framing);
  assert.equal(reader.open(bytes, start, end), undefined);
  const found: Read[] = [];
  while (reader.next()) {
    const payload = Buffer.from(bytes.subarray(reader.payloadStart, reader.payloadEnd));
    found.push({ payload: payload.toString('hex'), publishedAtUs: reader.publishedAtUs });
  }
  return found;
}

function assertCuts(framing: Framing, block: Block, at: readonly [number, number]): void {
  const whole = read(framing, block);
  const from = Math.min(...at) % whole.length;
  const to = from + 1 + (Math.max(...at) % (whole.length - from));
  assert.deepEqual(read(framing, cutBlock(framing, block, from, to)), whole.slice(from, to));
  assert.deepEqual(read(framing, block), whole, 'what is cut stays whole');
}

const AT = fc.tuple(fc.nat(100), fc.nat(100));

test('a native block is cut between any two messages', () => {
  fc.assert(
    fc.property(MESSAGES, AT, (messages, at) => {
      const bytes = new Uint8Array(8_192);
      const writer = new NativeBlockWriter();
      writer.start(bytes, 7);
      for (const { payload, publishedAtUs } of messages) writer.append(payload, publishedAtUs);
      assertCuts('native', { bytes, start: 7, end: writer.end }, at);
    }),
  );
});

test('a block of frames is cut between any two messages, one of a single message is whole', () => {
  fc.assert(
    fc.property(MESSAGES, AT, (messages, at) => {
      const texts = messages.map(({ payload }) => zmqMessage([payload]));
      const bytes = Buffer.concat([new Uint8Array(3), ...texts]);
      assertCuts('zmq', { bytes, start: 3, end: bytes.length }, at);
      assertCuts('raw', { bytes, start: 3, end: bytes.length }, at);
    }),
  );
});
