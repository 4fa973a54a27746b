import assert from 'node:assert/strict';
import test from 'node:test';
import { isSessionId, SEQUENCE_MAX } from '#base/mod.ts';
import {
  newReceiverCounters,
  newSessionCounters,
  type ReceiverEvent,
} from '#multicast/core/mod.ts';
import { OrderedDelivery } from '#multicast/core/ordered-delivery.ts';
import { blockOf, emptyMessages, eventText, SESSION_ID } from '#test/support/session-packets.ts';

function newDelivery(
  options: { nextSequence?: number; resumeSqn?: number; messageBytesMax?: number } = {},
) {
  const events: ReceiverEvent[] = [];
  const counters = newReceiverCounters();
  assert.ok(isSessionId(SESSION_ID));
  const delivery = new OrderedDelivery({
    session: SESSION_ID,
    framing: 'native',
    nextSequence: options.nextSequence,
    resumeSqn: options.resumeSqn,
    messageBytesMax: options.messageBytesMax ?? 10_000,
    counters,
    tally: newSessionCounters(),
    emit: (event) => events.push(event),
  });
  const take = (): string[] => events.splice(0).map((event) => eventText(event));
  return { delivery, counters, events, take };
}

type Delivery = OrderedDelivery;

/** Packets given up; which ones matters only for foreign sources. */
const HOLE = { first: 11, last: 12 };

function block(delivery: Delivery, sqn: number, sequence: number, count = 1): void {
  const bytes = blockOf(emptyMessages(count));
  delivery.packet(sqn, sequence, bytes, 0, bytes.length, undefined);
}

/** Pieces of one big message of 3,000 bytes, as packets from `firstSqn`. */
function pieces(firstSqn: number, sequence: number, pieceBytes = 1_000) {
  const apdu = blockOf([new Uint8Array(3_000).fill(7)]);
  const count = Math.ceil(apdu.length / pieceBytes);
  return Array.from({ length: count }, (_, index) => (delivery: Delivery): void => {
    const startBytes = index * pieceBytes;
    const bytes = apdu.slice(startBytes, startBytes + pieceBytes);
    const fragment = { firstSqn, startBytes, apduBytes: apdu.length };
    delivery.packet(firstSqn + index, sequence, bytes, 0, bytes.length, fragment);
  });
}

test('blocks in order become messages in order, each with where to resume', () => {
  const { delivery, events, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1, 3);
  block(delivery, 11, 4);
  assert.deepEqual(
    events.map((event) => ('nextSqn' in event ? event.nextSqn : 0)),
    [11, 12],
  );
  assert.deepEqual(take(), ['messages 1-3', 'messages 4-4']);
  assert.equal(delivery.nextSequence, 5);
});

test('without a first sequence the first block is the beginning', () => {
  const { delivery, take } = newDelivery();
  block(delivery, 10, 500);
  assert.deepEqual(take(), ['messages 500-500']);
});

test('what is missing before the first block was said before we joined', () => {
  const { delivery, events, take } = newDelivery({ nextSequence: 1 });
  delivery.hole('repair_expired', HOLE);
  block(delivery, 10, 5);
  const [lost] = events;
  assert.ok(lost?.kind === 'lost');
  assert.equal(lost.nextSqn, 10);
  assert.deepEqual(take(), ['lost 1-4 late_join', 'messages 5-5']);
});

test('what is missing behind a resume point was lost since', () => {
  for (const cause of ['repair_expired', 'source_gone'] as const) {
    const { delivery, take } = newDelivery({ nextSequence: 3, resumeSqn: 8 });
    delivery.hole(cause, HOLE);
    block(delivery, 10, 5);
    assert.deepEqual(take(), [`lost 3-4 ${cause}`, 'messages 5-5']);
  }
});

test('a live join in the middle of a big message has joined too late for it', () => {
  const { delivery, take } = newDelivery();
  delivery.settled(7, 11);
  for (const piece of pieces(10, 7).slice(1)) piece(delivery);
  block(delivery, 14, 8);
  assert.deepEqual(take(), ['lost 7-7 late_join', 'messages 8-8']);
});

test('a hole is told when the next block says which sequences it held', () => {
  const { delivery, counters, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1);
  delivery.hole('source_gone', HOLE);
  assert.deepEqual(take(), ['messages 1-1']);
  block(delivery, 14, 9);
  assert.deepEqual(take(), ['lost 2-8 source_gone', 'messages 9-9']);
  assert.equal(counters.messagesLost, 7);
});

test('of two holes in a row the first gives the cause', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1);
  delivery.hole('repair_expired', HOLE);
  delivery.hole('source_gone', HOLE);
  block(delivery, 14, 3);
  assert.deepEqual(take().slice(1), ['lost 2-2 repair_expired', 'messages 3-3']);
});

test('a hole without messages in it is no loss', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1);
  delivery.hole('repair_expired', HOLE);
  block(delivery, 12, 2);
  assert.deepEqual(take(), ['messages 1-1', 'messages 2-2']);
});

test('the cause of a hole is spent when the next message comes', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1, resumeSqn: 10 });
  delivery.hole('source_gone', HOLE);
  block(delivery, 11, 1);
  block(delivery, 12, 3);
  assert.deepEqual(take(), ['messages 1-1', 'lost 2-2 corrupt', 'messages 3-3']);
});

test('the sequence of an SPM settles a lost tail', () => {
  const { delivery, events, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1);
  delivery.hole('repair_expired', HOLE);
  delivery.settled(6, 14);
  assert.ok(events[1]?.kind === 'lost');
  assert.equal(events[1].nextSqn, 14);
  assert.deepEqual(take(), ['messages 1-1', 'lost 2-5 repair_expired']);
  delivery.settled(6, 14);
  assert.deepEqual(take(), []);
});

test('a live join that an SPM placed blames later holes on what caused them', () => {
  const { delivery, take } = newDelivery();
  delivery.settled(50, 10);
  delivery.hole('repair_expired', HOLE);
  block(delivery, 13, 53);
  assert.deepEqual(take(), ['lost 50-52 repair_expired', 'messages 53-53']);
});

test('a join at the very beginning blames later holes on what caused them', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  delivery.settled(1, 0);
  delivery.hole('source_gone', HOLE);
  block(delivery, 2, 3);
  assert.deepEqual(take(), ['lost 1-2 source_gone', 'messages 3-3']);
});

test('bytes that are no block are a loss with cause corrupt', () => {
  const { delivery, counters, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1);
  delivery.packet(11, 2, new Uint8Array(50), 0, 50, undefined);
  block(delivery, 12, 4);
  assert.deepEqual(take(), ['messages 1-1', 'lost 2-3 corrupt', 'messages 4-4']);
  assert.equal(counters.corruptBlocks, 1);
});

test('a sequence that was accounted for already is refused', () => {
  const { delivery, counters, take } = newDelivery({ nextSequence: 1 });
  block(delivery, 10, 1, 5);
  block(delivery, 11, 5);
  delivery.settled(3, 12);
  assert.deepEqual(take(), ['messages 1-5']);
  assert.equal(counters.corruptBlocks, 1);
  assert.equal(delivery.nextSequence, 6);
});

test('the last sequence there is can be delivered, one more cannot', () => {
  const { delivery, counters, take } = newDelivery();
  block(delivery, 10, SEQUENCE_MAX - 1, 3);
  assert.deepEqual(take(), []);
  assert.equal(counters.corruptBlocks, 1);
  block(delivery, 11, SEQUENCE_MAX - 1, 2);
  assert.deepEqual(take(), [`messages ${SEQUENCE_MAX - 1}-${SEQUENCE_MAX}`]);
});

test('pieces in order become one message, to be resumed behind the last piece', () => {
  const { delivery, events, take } = newDelivery({ nextSequence: 1 });
  for (const piece of pieces(10, 1)) piece(delivery);
  const [message] = events;
  assert.ok(message?.kind === 'messages');
  assert.equal(message.nextSqn, 14);
  assert.equal(message.end - message.start, blockOf([new Uint8Array(3_000)]).length);
  assert.deepEqual(take(), ['messages 1-1']);
});

test('a big message of which any piece is lost is lost as a whole', () => {
  for (const lost of [0, 1, 2, 3]) {
    const { delivery, take } = newDelivery({ nextSequence: 1, resumeSqn: 10 });
    for (const [index, piece] of pieces(10, 1).entries()) {
      if (index === lost) delivery.hole('repair_expired', HOLE);
      else piece(delivery);
    }
    block(delivery, 14, 2);
    assert.deepEqual(take(), ['lost 1-1 repair_expired', 'messages 2-2'], `piece ${lost}`);
  }
});

test('a big message that stops in the middle is lost with cause corrupt', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  pieces(10, 1)[0]?.(delivery);
  block(delivery, 11, 2);
  assert.deepEqual(take(), ['lost 1-1 corrupt', 'messages 2-2']);
});

test('a big message that starts anew in the middle is delivered, the first one lost', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  pieces(10, 1)[0]?.(delivery);
  for (const piece of pieces(11, 2)) piece(delivery);
  assert.deepEqual(take(), ['lost 1-1 corrupt', 'messages 2-2']);
});

test('a message larger than the receiver takes is a loss, and costs no memory', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1, messageBytesMax: 100 });
  const apduBytes = 2 ** 32 - 1;
  const fragment = { firstSqn: 10, startBytes: 0, apduBytes };
  delivery.packet(10, 1, new Uint8Array(1_000), 0, 1_000, fragment);
  delivery.packet(11, 1, new Uint8Array(1_000), 0, 1_000, { ...fragment, startBytes: 1_000 });
  block(delivery, 12, 2);
  assert.deepEqual(take(), ['lost 1-1 corrupt', 'messages 2-2']);
});

test('a message in pieces of a byte takes little more memory than its bytes', () => {
  const apduBytes = 1_000_000;
  const { delivery, take } = newDelivery({ nextSequence: 1, messageBytesMax: apduBytes });
  const bytes = new Uint8Array(1);
  const before = process.memoryUsage().heapUsed;
  for (let startBytes = 0; startBytes < apduBytes - 1; startBytes += 1) {
    const fragment = { firstSqn: 10, startBytes, apduBytes };
    delivery.packet(10 + startBytes, 1, bytes, 0, 1, fragment);
  }
  const takenBytes = process.memoryUsage().heapUsed - before;
  assert.ok(takenBytes < 48 * 1_048_576, `${takenBytes} bytes`);
  assert.deepEqual(take(), []);
});

test('a piece of another message ends the message it does not belong to', () => {
  const apduBytes = blockOf([new Uint8Array(3_000)]).length;
  const others = [
    { firstSqn: 9, startBytes: 1_000, apduBytes },
    { firstSqn: 10, startBytes: 1_000, apduBytes: apduBytes + 1 },
    { firstSqn: 10, startBytes: 999, apduBytes },
  ];
  for (const fragment of others) {
    const { delivery, take } = newDelivery({ nextSequence: 1 });
    const [first, , ...rest] = pieces(10, 1);
    first?.(delivery);
    delivery.packet(11, 1, new Uint8Array(1_000), 0, 1_000, fragment);
    for (const piece of rest) piece(delivery);
    block(delivery, 14, 2);
    assert.deepEqual(take(), ['lost 1-1 corrupt', 'messages 2-2']);
  }
});

test('a piece without bytes ends the message it belongs to', () => {
  const { delivery, take } = newDelivery({ nextSequence: 1 });
  const [first, second, ...rest] = pieces(10, 1);
  first?.(delivery);
  const empty = {
    firstSqn: 10,
    startBytes: 1_000,
    apduBytes: blockOf([new Uint8Array(3_000)]).length,
  };
  delivery.packet(11, 1, new Uint8Array(0), 0, 0, empty);
  for (const piece of [second, ...rest]) piece?.(delivery);
  block(delivery, 15, 2);
  assert.deepEqual(take(), ['lost 1-1 corrupt', 'messages 2-2']);
});

test('a session is resumed from what was told last, not from what is half there', () => {
  const { delivery } = newDelivery({ nextSequence: 1 });
  assert.equal(delivery.resumeSqn, undefined);
  block(delivery, 10, 1);
  assert.equal(delivery.resumeSqn, 11);
  for (const piece of pieces(11, 2).slice(0, 3)) piece(delivery);
  delivery.hole('source_gone', HOLE);
  assert.deepEqual([delivery.nextSequence, delivery.resumeSqn], [2, 11]);
  delivery.settled(9, 20);
  assert.deepEqual([delivery.nextSequence, delivery.resumeSqn], [9, 20]);
});
