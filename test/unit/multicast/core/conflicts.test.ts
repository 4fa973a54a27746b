import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Receiver, ReceiverEvent } from '#multicast/core/mod.ts';
import { dataPacket, hear, newReceiver, spmPacket, told } from '#test/support/session-packets.ts';

/** A packet of one message, whose sequence is its SQN + 1 unless another is given. */
function packet(sqn: number, text: string, sequence = sqn + 1): Uint8Array {
  return dataPacket({ sqn, sequence, messages: [Buffer.from(text)] });
}

function repair(sqn: number, text: string): Uint8Array {
  const messages = [Buffer.from(text)];
  return dataPacket({ sqn, sequence: sqn + 1, messages, isRepair: true });
}

function conflicts(receiver: Receiver): Extract<ReceiverEvent, { kind: 'conflict' }>[] {
  const found: Extract<ReceiverEvent, { kind: 'conflict' }>[] = [];
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    if (event.kind === 'conflict') found.push(event);
  }
  return found;
}

test('a packet that comes again as it was is a duplicate and nothing more', () => {
  const receiver = newReceiver();
  hear(receiver, 0, packet(0, 'one'), packet(1, 'two'), packet(0, 'one'), repair(1, 'two'));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'messages 2-2']);
  assert.deepEqual([receiver.counters.duplicates, receiver.counters.conflicts], [2, 0]);
});

test('a packet that comes again with other bytes is told, and not delivered', () => {
  for (const again of [packet(1, 'TWO'), repair(1, 'TWO'), packet(1, 'two, longer')]) {
    const receiver = newReceiver();
    hear(receiver, 0, packet(0, 'one'), packet(1, 'two'), again, packet(2, 'three'));
    assert.deepEqual(told(receiver), [
      'opened',
      'messages 1-1',
      'messages 2-2',
      'conflict 2-2',
      'messages 3-3',
    ]);
    assert.deepEqual([receiver.counters.duplicates, receiver.counters.conflicts], [1, 1]);
  }
});

test('the same bytes under other sequences are a conflict too', () => {
  const receiver = newReceiver();
  hear(receiver, 0, packet(0, 'one'), packet(1, 'two'), packet(1, 'two', 9));
  assert.equal(conflicts(receiver).length, 1);
});

test('a packet that waits behind a hole is compared as well', () => {
  const receiver = newReceiver();
  hear(receiver, 0, packet(0, 'one'), packet(2, 'three'), packet(2, 'THREE'), packet(1, 'two'));
  assert.deepEqual(told(receiver), [
    'opened',
    'messages 1-1',
    'conflict 3-3',
    'messages 2-2',
    'messages 3-3',
  ]);
});

test('a conflict names all sequences of its packet that are known', () => {
  const receiver = newReceiver();
  const three = ['a', 'b', 'c'].map((text) => Buffer.from(text));
  const other = dataPacket({ sqn: 0, sequence: 1, messages: [Buffer.from('else')] });
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, messages: three }), packet(1, 'd', 4), other);
  const [{ firstSequence, lastSequence, sqn }] = conflicts(receiver);
  assert.deepEqual([firstSequence, lastSequence, sqn % 2 ** 32], [1, 3, 0]);
});

test('what was never taken has nothing to differ from', () => {
  const receiver = newReceiver();
  hear(receiver, 0, packet(5, 'six'), spmPacket({ trail: 5, lead: 5, sequence: 7 }));
  told(receiver);
  hear(receiver, 1, packet(3, 'else'), packet(4, 'else'));
  assert.deepEqual(conflicts(receiver), []);
  assert.equal(receiver.counters.conflicts, 0);
});

test('a packet longer ago than is remembered is only a duplicate', () => {
  const receiver = newReceiver();
  for (let sqn = 0; sqn <= 512; sqn += 1) hear(receiver, 0, packet(sqn, 'x'));
  hear(receiver, 0, packet(0, 'y'), packet(1, 'y'));
  assert.deepEqual([receiver.counters.duplicates, receiver.counters.conflicts], [2, 1]);
});

test('of many conflicts a bounded number is told, and all are counted', () => {
  const receiver = newReceiver();
  hear(receiver, 0, packet(0, 'one'));
  for (let copy = 0; copy < 1_000; copy += 1) hear(receiver, copy, packet(0, `copy ${copy}`));
  assert.equal(conflicts(receiver).length, 64);
  assert.equal(receiver.counters.conflicts, 1_000);
});

test('over many sessions a hundred are told, and then one a second', () => {
  const receiver = newReceiver();
  const said = (nowMs: number): number => {
    for (let low = 1; low <= 10; low += 1) {
      const of = { session: { sessionHigh: 7, sessionLow: low }, transport: { tsiSport: low } };
      const first = dataPacket({ sqn: 0, sequence: 1, messages: [Buffer.from('one')], ...of });
      hear(receiver, nowMs, first);
      for (let copy = 0; copy < 20; copy += 1) {
        const messages = [Buffer.from(`copy ${copy}`)];
        hear(receiver, nowMs, dataPacket({ sqn: 0, sequence: 1, messages, ...of }));
      }
    }
    return conflicts(receiver).length;
  };
  assert.equal(said(0), 100);
  receiver.handleTimeout(1_000);
  assert.equal(said(1_000), 100, 'the first turn of the clock fills the bucket');
  receiver.handleTimeout(6_000);
  assert.equal(said(6_000), 5);
});
