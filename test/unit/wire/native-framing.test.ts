import assert from 'node:assert/strict';
import test from 'node:test';
import { PACKET_MESSAGES_MAX } from '#base/mod.ts';
import {
  countMessages,
  NativeBlockReader,
  NativeBlockWriter,
  singleMessageBlockBytes,
} from '#multicast/wire/mod.ts';
import { helloBlock } from '#test/support/packets.ts';

const NOW_US = 1_795_345_858_887_986;
const EMPTY = new Uint8Array(0);
const HEADER = '01 00060d8a8a8a8a8a';

function block(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function messagesOf(bytes: Uint8Array, start: number, end: number): [text: string, us: number][] {
  const reader = new NativeBlockReader();
  assert.equal(reader.open(bytes, start, end), undefined);
  const messages: [string, number][] = [];
  while (reader.next()) {
    const payload = bytes.subarray(reader.payloadStart, reader.payloadEnd);
    messages.push([Buffer.from(payload).toString('latin1'), reader.publishedAtUs]);
  }
  assert.equal(messages.length, reader.messageCount);
  return messages;
}

test('messages come back in order, each with its payload and its publish time', () => {
  const bytes = helloBlock();
  assert.deepEqual(messagesOf(bytes, 0, bytes.length), [
    ['hello', NOW_US],
    ['', NOW_US - 3],
  ]);
});

test('an empty payload is a message', () => {
  const bytes = new Uint8Array(11);
  const writer = new NativeBlockWriter();
  writer.start(bytes, 0);
  assert.equal(writer.append(EMPTY, NOW_US), true);
  assert.equal(writer.end, 11);
  assert.deepEqual(messagesOf(bytes, 0, 11), [['', NOW_US]]);
});

test('a block can lie anywhere in a larger memory', () => {
  const memory = new Uint8Array(100).fill(0xee);
  const writer = new NativeBlockWriter();
  writer.start(memory, 48, 70);
  assert.equal(writer.end, 48);
  writer.append(Buffer.from('ab'), NOW_US);
  assert.deepEqual(messagesOf(memory, 48, writer.end), [['ab', NOW_US]]);
  assert.equal(memory[writer.end], 0xee);
});

test('a message that does not fit is refused and changes nothing', () => {
  const memory = new Uint8Array(20).fill(0xee);
  const writer = new NativeBlockWriter();
  writer.start(memory, 0, 16);
  assert.equal(writer.append(Buffer.from('123'), NOW_US), true);
  assert.equal(writer.append(Buffer.from('1'), NOW_US), false);
  assert.equal(writer.append(EMPTY, NOW_US), true);
  assert.equal(writer.append(EMPTY, NOW_US), false);
  assert.deepEqual([writer.messageCount, writer.end, memory[16]], [2, 16, 0xee]);
});

test('what fits() promises, append() keeps', () => {
  const memory = new Uint8Array(9 + 1 + 5 + 5 + 7);
  const writer = new NativeBlockWriter();
  writer.start(memory, 0);
  assert.equal(writer.fits(memory.length - 11), true);
  assert.equal(writer.fits(memory.length - 10), false);
  writer.append(EMPTY, NOW_US);
  assert.equal(writer.fits(10), true);
  assert.equal(writer.append(new Uint8Array(10), NOW_US + 2 ** 30 - 1), true);
});

test('a clock that is set back, or forward by less than 18 minutes, stays in the block', () => {
  const memory = new Uint8Array(100);
  const writer = new NativeBlockWriter();
  writer.start(memory, 0);
  const times = [0, -(2 ** 30 - 1), 2 ** 30 - 1, -1, 64, -65].map((us) => NOW_US + us);
  for (const us of times) assert.equal(writer.append(EMPTY, us), true);
  assert.deepEqual(
    messagesOf(memory, 0, writer.end).map(([, us]) => us),
    times,
  );
});

test('a larger step of the clock ends the block', () => {
  const memory = new Uint8Array(100);
  const writer = new NativeBlockWriter();
  writer.start(memory, 0);
  writer.append(EMPTY, NOW_US);
  assert.equal(writer.append(EMPTY, NOW_US + 2 ** 30), false);
  assert.equal(writer.append(EMPTY, NOW_US - 2 ** 30), false);
  assert.equal(writer.append(EMPTY, 0), false);
  writer.start(memory, writer.end);
  assert.equal(writer.append(EMPTY, 0), true);
});

test('a block holds no more messages than a receiver unpacks in one step', () => {
  const memory = new Uint8Array(10_000);
  const writer = new NativeBlockWriter();
  writer.start(memory, 0);
  for (let i = 0; i < PACKET_MESSAGES_MAX; i += 1) assert.equal(writer.append(EMPTY, 5), true);
  assert.equal(writer.fits(0), false);
  assert.equal(writer.append(EMPTY, 5), false);
  assert.equal(countMessages(memory, 0, writer.end), PACKET_MESSAGES_MAX);
  memory.copyWithin(writer.end, writer.end - 2, writer.end);
  assert.equal(countMessages(memory, 0, writer.end + 2), -1);
});

test('the size of a block with one message is known beforehand', () => {
  for (const payloadBytes of [0, 1, 127, 128, 16_383, 16_384, 1_048_576, 2_097_152]) {
    const memory = new Uint8Array(singleMessageBlockBytes(payloadBytes));
    const writer = new NativeBlockWriter();
    writer.start(memory, 0);
    assert.equal(writer.append(new Uint8Array(payloadBytes), NOW_US), true);
    assert.equal(writer.end, memory.length);
    assert.equal(countMessages(memory, 0, writer.end), 1);
  }
});

const MALFORMED: readonly [what: string, bytes: Uint8Array][] = [
  ['no bytes', block('')],
  ['a base that is cut short', block('01 00060d8a8a8a8a')],
  ['no message', block(HEADER)],
  ['a base of 2^53', block('01 0020000000000000 00 00')],
  ['a payload that is cut short', block(`${HEADER} 03 00 6162`)],
  ['a message without a publish time', block(`${HEADER} 00`)],
  ['a varint that is cut short', block(`${HEADER} 00 80`)],
  ['a varint that is longer than needed', block(`${HEADER} 00 8000`)],
  ['a varint of six bytes', block(`${HEADER} 00 808080808001`)],
  ['a varint of 2^31', block(`${HEADER} 00 8080808008`)],
  ['a payload longer than memory', block(`${HEADER} ffffffff07 00`)],
  ['a publish time before 1970', block('01 0000000000000001 00 03')],
  ['a publish time beyond 2^53 − 1', block('01 001fffffffffffff 00 02')],
  ['bytes behind the last message', block(`${HEADER} 00 00 00`)],
];

for (const [what, bytes] of MALFORMED) {
  test(`a block is malformed with ${what}`, () => {
    assert.equal(countMessages(bytes, 0, bytes.length), -1);
    const reader = new NativeBlockReader();
    assert.equal(reader.open(bytes, 0, bytes.length), 'block');
    assert.equal(reader.next(), false);
    assert.equal(reader.messageCount, 0);
  });
}

test('the extreme publish times are read exactly', () => {
  const last = block('01 001fffffffffffff 00 00');
  assert.deepEqual(messagesOf(last, 0, last.length), [['', Number.MAX_SAFE_INTEGER]]);
  const first = block('01 0000000000000001 00 01');
  assert.deepEqual(messagesOf(first, 0, first.length), [['', 0]]);
});

test('a version that is not known is its own reason', () => {
  const bytes = helloBlock();
  bytes[0] = 2;
  assert.equal(new NativeBlockReader().open(bytes, 0, bytes.length), 'block_version');
  assert.equal(countMessages(bytes, 0, bytes.length), -1);
});
