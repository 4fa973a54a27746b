// Parts make a message and come out of it again, however the bytes arrive; and any bytes are frames
// or are not, never an exception.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import {
  newBlockReader,
  ZMQ_CORRUPT,
  ZMQ_UNFINISHED,
  ZmqMessageScanner,
  zmqMessage,
  zmqParts,
  zmqSlices,
} from '#multicast/wire/mod.ts';

const parts = fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 5 });

test('the parts that make a message come out of it', () => {
  fc.assert(
    fc.property(parts, (made) => assert.deepEqual(zmqParts(zmqMessage(made)), made)),
    { numRuns: 1_000 },
  );
});

test('the ends of messages are the same in pieces of any size', () => {
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (all, step) => {
      const messages = all.map((made) => zmqMessage(made));
      const bytes = new Uint8Array(Buffer.concat(messages));
      const ends: number[] = [];
      const scanner = new ZmqMessageScanner();
      for (let at = 0; at < bytes.length; ) {
        const pieceEnd = Math.min(bytes.length, at + step);
        const end = scanner.scan(bytes, at, pieceEnd);
        assert.notEqual(end, ZMQ_CORRUPT);
        if (end !== ZMQ_UNFINISHED) ends.push(end);
        at = end === ZMQ_UNFINISHED ? pieceEnd : end;
      }
      let total = 0;
      const expected = messages.map(({ length }) => (total += length));
      assert.deepEqual(ends, expected);
    }),
    { numRuns: 1_000 },
  );
});

test('slices of a message are the message, each within its bound', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 3, max: 300 }), (made, tsduBytesMax) => {
      const message = zmqMessage(made);
      const slices = zmqSlices(message, tsduBytesMax);
      assert.ok(slices.every(({ length }) => length > 2 && length <= tsduBytesMax));
      const joined = Buffer.concat(slices.map((tsdu) => tsdu.subarray(2)));
      assert.deepEqual(new Uint8Array(joined), message);
    }),
    { numRuns: 500 },
  );
});

test('any bytes are a block of messages or are not', () => {
  const reader = newBlockReader('zmq');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const reason = reader.open(bytes, 0, bytes.length);
      let end = 0;
      let count = 0;
      for (; reader.next(); count += 1) {
        assert.equal(reader.payloadStart, end);
        end = reader.payloadEnd;
        const message = bytes.subarray(reader.payloadStart, end);
        assert.deepEqual(zmqMessage(zmqParts(message)).length <= message.length, true);
      }
      assert.equal(count, reader.messageCount);
      assert.equal(end, reason === undefined ? bytes.length : 0);
    }),
    { numRuns: 50_000 },
  );
});
