import assert from 'node:assert/strict';
import test from 'node:test';
import { AssertionError, PACKET_MESSAGES_MAX } from '#base/mod.ts';
import {
  NO_PUBLISH_TIME,
  newBlockReader,
  readZmqOffset,
  ZMQ_CORRUPT,
  ZMQ_NO_START,
  ZMQ_UNFINISHED,
  ZmqBlockWriter,
  ZmqMessageScanner,
  zmqFrameBytes,
  zmqMessage,
  zmqParts,
  zmqSlices,
} from '#multicast/wire/mod.ts';

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Pieces of a hex dump, put together. */
function hexOf(...pieces: readonly string[]): string {
  return pieces.join('');
}

test('a message of one part is a length, a flag byte and the part', () => {
  assert.equal(hex(zmqMessage([Buffer.from('hi')])), hexOf('0300', '6869'));
  assert.equal(hex(zmqMessage([new Uint8Array(0)])), '0100');
});

test('all parts but the last say that more follow', () => {
  const message = zmqMessage(['a', '', 'bc'].map((part) => Buffer.from(part)));
  assert.equal(hex(message), hexOf('0201', '61', '0101', '0300', '6263'));
});

test('a part of 253 bytes has a short length, one of 254 a long one', () => {
  assert.equal(hex(zmqMessage([new Uint8Array(253)]).subarray(0, 2)), 'fe00');
  assert.equal(hex(zmqMessage([new Uint8Array(254)]).subarray(0, 10)), 'ff00000000000000ff00');
  assert.deepEqual([253, 254].map(zmqFrameBytes), [255, 264]);
});

test('a message is taken apart into the parts that it was made of', () => {
  const parts = [0, 1, 253, 254, 255, 70_000].map((bytes) => new Uint8Array(bytes).fill(7));
  assert.deepEqual(zmqParts(zmqMessage(parts)), parts);
});

test('what follows a malformed frame is left out of the parts', () => {
  const sound = zmqMessage([Buffer.from('a'), Buffer.from('b')]);
  assert.deepEqual(zmqParts(sound.subarray(0, sound.length - 1)).map(text), ['a']);
  assert.deepEqual(zmqParts(Uint8Array.of(0, 0, 1)), []);
  assert.deepEqual(zmqParts(Uint8Array.of(0xff, 1, 2)), []);
});

test('the end of a message is found byte by byte as well as in one go', () => {
  const message = zmqMessage([new Uint8Array(300), new Uint8Array(0), Buffer.from('end')]);
  const bytes = Buffer.concat([message, zmqMessage([Buffer.from('next')])]);
  assert.equal(new ZmqMessageScanner().scan(bytes, 0, bytes.length), message.length);
  const scanner = new ZmqMessageScanner();
  for (let at = 0; at < message.length - 1; at += 1) {
    assert.equal(scanner.scan(bytes, at, at + 1), ZMQ_UNFINISHED);
  }
  assert.equal(scanner.scan(bytes, message.length - 1, bytes.length), message.length);
  assert.equal(scanner.scan(bytes, message.length, bytes.length), bytes.length);
});

test('a length of 0 and a flag that is not known are corrupt', () => {
  for (const bytes of [[0], [2, 2, 0], [2, 0x80, 0], [0xff, 0, 0, 0, 0, 0, 0, 0, 0]]) {
    const scanner = new ZmqMessageScanner();
    assert.equal(scanner.scan(Uint8Array.from(bytes), 0, bytes.length), ZMQ_CORRUPT);
  }
});

test('a message may be as large as allowed, over all its parts, and no larger', () => {
  const message = zmqMessage([new Uint8Array(40), new Uint8Array(40)]);
  const scan = (bytesMax: number): number =>
    new ZmqMessageScanner(bytesMax).scan(message, 0, message.length);
  assert.equal(scan(message.length), message.length);
  assert.equal(scan(message.length - 2), ZMQ_CORRUPT);
  const huge = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0);
  assert.equal(new ZmqMessageScanner().scan(huge, 0, huge.length), ZMQ_CORRUPT);
});

test('a scanner that is reset takes the next byte for a start', () => {
  const scanner = new ZmqMessageScanner();
  assert.equal(scanner.scan(Uint8Array.of(9, 1, 1), 0, 3), ZMQ_UNFINISHED);
  scanner.reset();
  assert.equal(scanner.scan(Uint8Array.of(1, 0), 0, 2), 2);
});

test('small messages share a TSDU that begins with the first of them', () => {
  const into = new Uint8Array(64);
  const writer = new ZmqBlockWriter();
  writer.start(into, 8);
  assert.equal(writer.end, 8);
  for (const part of ['one', 'two']) assert.ok(writer.append(zmqMessage([Buffer.from(part)]), 0));
  assert.equal(
    hex(into.subarray(8, writer.end)),
    hexOf('0000', '0400', '6f6e65', '0400', '74776f'),
  );
});

test('a message without room leaves the TSDU as it was', () => {
  const writer = new ZmqBlockWriter();
  writer.start(new Uint8Array(20), 0, 10);
  assert.ok(writer.append(zmqMessage([new Uint8Array(3)]), 0));
  assert.equal(writer.append(zmqMessage([new Uint8Array(2)]), 0), false);
  assert.equal(writer.end, 7);
});

test('a TSDU holds a bounded number of messages', () => {
  const writer = new ZmqBlockWriter();
  writer.start(new Uint8Array(4 * PACKET_MESSAGES_MAX), 0);
  const empty = zmqMessage([new Uint8Array(0)]);
  for (let n = 0; n < PACKET_MESSAGES_MAX; n += 1) assert.ok(writer.append(empty, 0));
  assert.equal(writer.append(empty, 0), false);
});

test('nothing but the frames of one message is ever put into a TSDU', () => {
  const frame = zmqMessage([Buffer.from('x')]);
  const wrong = [new Uint8Array(0), Buffer.from('hello'), Buffer.concat([frame, frame])];
  for (const bytes of wrong) {
    const writer = new ZmqBlockWriter();
    writer.start(new Uint8Array(100), 0);
    assert.throws(() => writer.append(bytes, 0), AssertionError);
    assert.throws(() => zmqSlices(bytes, 50), AssertionError);
  }
});

test('of the slices of a large message only the first says that one starts', () => {
  const message = zmqMessage([new Uint8Array(250).fill(7)]);
  const slices = zmqSlices(message, 102);
  assert.deepEqual(
    slices.map((tsdu) => readZmqOffset(tsdu, 0)),
    [0, ZMQ_NO_START, ZMQ_NO_START],
  );
  assert.deepEqual(Buffer.concat(slices.map((tsdu) => tsdu.subarray(2))), Buffer.from(message));
});

test('a block of messages is walked message by message', () => {
  const messages = [['a'], ['b', 'c'], ['']].map((parts) =>
    zmqMessage(parts.map((part) => Buffer.from(part))),
  );
  const bytes = Buffer.concat([Buffer.from('??'), ...messages, Buffer.from('!')]);
  const reader = newBlockReader('zmq');
  assert.equal(reader.open(bytes, 2, bytes.length - 1), undefined);
  assert.equal(reader.messageCount, 3);
  for (const message of messages) {
    assert.ok(reader.next());
    const payload = bytes.subarray(reader.payloadStart, reader.payloadEnd);
    assert.deepEqual(new Uint8Array(payload), message);
    assert.equal(reader.publishedAtUs, NO_PUBLISH_TIME);
  }
  assert.equal(reader.next(), false);
});

test('a block that is empty, cut short or no frames at all is malformed', () => {
  const message = zmqMessage([Buffer.from('abc')]);
  const reader = newBlockReader('zmq');
  assert.equal(reader.open(message, 0, 0), 'block');
  assert.equal(reader.open(message, 0, message.length - 1), 'block');
  assert.equal(reader.open(Uint8Array.of(0, 0), 0, 2), 'block');
  assert.equal(reader.next(), false);
});

test('a block of raw is one message, also an empty one', () => {
  const bytes = Buffer.from('..abc.');
  const reader = newBlockReader('raw');
  for (const [start, end, payload] of [
    [2, 5, 'abc'],
    [3, 3, ''],
  ] as const) {
    assert.equal(reader.open(bytes, start, end), undefined);
    assert.equal(reader.messageCount, 1);
    assert.ok(reader.next());
    assert.equal(text(bytes.subarray(reader.payloadStart, reader.payloadEnd)), payload);
    assert.equal(reader.publishedAtUs, NO_PUBLISH_TIME);
    assert.equal(reader.next(), false);
  }
});
