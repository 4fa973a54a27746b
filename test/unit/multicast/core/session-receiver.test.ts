import assert from 'node:assert/strict';
import test from 'node:test';
import {
  isSessionId,
  RECEIVE_GAPS_MAX,
  RECEIVE_WINDOW_PACKETS_MAX,
  seededRandom,
} from '#base/mod.ts';
import { NAK_BACKOFF_MS_MAX } from '#multicast/core/feedback-delay.ts';
import type { Receiver } from '#multicast/core/mod.ts';
import {
  dataPacket,
  emptyMessages,
  hear,
  nakPacket,
  ncfPacket,
  newReceiver,
  SESSION_ID,
  spmPacket,
  told,
  waitUntil,
} from '#test/support/session-packets.ts';

/** A data packet whose one message has the sequence `sqn` + 1, as if the session began at SQN 0. */
const plain = (sqn: number, trail = 0): Uint8Array =>
  dataPacket({ sqn: sqn >>> 0, trail: trail >>> 0, sequence: sqn + 1 });

/** An SPM of the same session. */
const spm = (lead: number, sqn = 0, trail = 0, isFin = false): Uint8Array =>
  spmPacket({ sqn, trail, lead: lead >>> 0, sequence: lead + 2, isFin });

const naks = (texts: readonly string[]): string[] =>
  texts.filter((text) => text.startsWith('nak') && text.includes('192.168.1.7'));

test('packets in order are messages in order', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(1), plain(2));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'messages 2-2', 'messages 3-3']);
});

test('a packet ahead of a hole waits until the hole is filled', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(2), plain(3));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1']);
  hear(receiver, 1, plain(1));
  assert.deepEqual(told(receiver), ['messages 2-2', 'messages 3-3', 'messages 4-4']);
  assert.equal(receiver.counters.packetsMissed, 1);
});

test('a packet heard a thousand times is delivered once', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0));
  for (let copy = 1; copy < 1_000; copy += 1) hear(receiver, copy, plain(copy % 2));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'messages 2-2']);
  assert.equal(receiver.counters.duplicates, 998);
});

test('a held packet heard twice is a duplicate', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(2), plain(2));
  assert.equal(receiver.counters.duplicates, 1);
});

test('an SPM reveals a lost tail, which is asked for', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spm(2));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 1 2 to 192.168.1.7:40001']);
  hear(receiver, 20, plain(1), plain(2));
  assert.deepEqual(told(receiver).slice(-2), ['messages 2-2', 'messages 3-3']);
});

test('nothing is asked for before an SPM says where', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(5));
  assert.deepEqual(naks(waitUntil(receiver, 200)), []);
  hear(receiver, 200, spm(5));
  assert.deepEqual(naks(waitUntil(receiver, 200 + NAK_BACKOFF_MS_MAX, 200)), [
    'nak 1 2 3 4 to 192.168.1.7:40001',
  ]);
});

test('a window join asks for all the publisher holds and declares what is older', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(9, 7), spm(9, 0, 7));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 7 8 to 192.168.1.7:40001']);
  hear(receiver, 20, plain(7, 7), plain(8, 7));
  assert.deepEqual(told(receiver).slice(2), [
    'lost 1-7 late_join',
    'messages 8-8',
    'messages 9-9',
    'messages 10-10',
  ]);
});

test('a window join by an SPM does the same', () => {
  const receiver = newReceiver();
  hear(receiver, 0, spm(9, 0, 8));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 8 9 to 192.168.1.7:40001']);
  hear(receiver, 20, plain(8, 8), plain(9, 8));
  assert.ok(told(receiver).includes('lost 1-8 late_join'));
});

test('a live join by data starts with that packet', () => {
  const receiver = newReceiver({ join: 'live' });
  hear(receiver, 0, plain(9), spm(9));
  assert.deepEqual(naks(waitUntil(receiver, 100)), []);
  assert.deepEqual(told(receiver), ['opened', 'messages 10-10', 'source gateway-7']);
});

test('a live join by an SPM starts with the next message, and misses it if it is lost', () => {
  const receiver = newReceiver({ join: 'live' });
  hear(receiver, 0, spm(9), plain(11));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 10 to 192.168.1.7:40001']);
  hear(receiver, 20, plain(10));
  assert.deepEqual(told(receiver).slice(2), ['messages 11-11', 'messages 12-12']);
});

test("a live join does not start with somebody else's repair", () => {
  const receiver = newReceiver({ join: 'live' });
  hear(receiver, 0, dataPacket({ sqn: 3, sequence: 4, isRepair: true }), plain(9));
  assert.deepEqual(told(receiver).slice(1), ['messages 10-10']);
});

test('a resumed session asks for exactly what is missing', () => {
  const receiver = newReceiver();
  assert.ok(isSessionId(SESSION_ID));
  receiver.restore({ session: SESSION_ID, nextSequence: 8, nextSqn: 2 ** 32 + 7 }, 0);
  hear(receiver, 1, plain(6), plain(9), spm(9));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 7 8 to 192.168.1.7:40001']);
  hear(receiver, 20, plain(7), plain(8));
  assert.deepEqual(told(receiver).slice(2), ['messages 8-8', 'messages 9-9', 'messages 10-10']);
});

test('what left the window while the receiver was away is lost, with exact bounds', () => {
  const receiver = newReceiver();
  assert.ok(isSessionId(SESSION_ID));
  receiver.restore({ session: SESSION_ID, nextSequence: 8, nextSqn: 2 ** 32 + 7 }, 0);
  hear(receiver, 1, plain(1_000, 900), spm(1_000, 0, 900));
  for (let sqn = 900; sqn < 1_000; sqn += 1) hear(receiver, 2, plain(sqn, 900));
  assert.deepEqual(told(receiver).slice(1, 4), [
    'source gateway-7',
    'lost 8-900 repair_expired',
    'messages 901-901',
  ]);
});

test('what the trail passes is lost at once, what is held before it is delivered', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(2), plain(4), plain(6, 4));
  assert.deepEqual(told(receiver).slice(1), [
    'messages 1-1',
    'lost 2-2 repair_expired',
    'messages 3-3',
    'lost 4-4 repair_expired',
    'messages 5-5',
  ]);
});

test('a trail beyond all that was heard loses what is unseen, settled by the SPM', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spm(19, 0, 20));
  assert.deepEqual(told(receiver).slice(1, 3), ['messages 1-1', 'lost 2-20 repair_expired']);
});

test('a hole that nobody repairs is given up after the repair timeout, not before', () => {
  const receiver = newReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, plain(0), spm(0), plain(2));
  waitUntil(receiver, 999);
  assert.deepEqual(told(receiver).length, 3);
  waitUntil(receiver, 1_000);
  assert.deepEqual(told(receiver), ['lost 2-2 repair_expired', 'messages 3-3']);
  hear(receiver, 1_001, plain(1));
  assert.equal(receiver.counters.duplicates, 1);
});

test('the tail that was given up is settled by the SPM that revealed it', () => {
  const receiver = newReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, plain(0), spm(4));
  waitUntil(receiver, 1_000);
  assert.deepEqual(told(receiver).at(-1), 'lost 2-5 repair_expired');
});

test('packet numbers wrap without anybody noticing', () => {
  const receiver = newReceiver();
  const first = 2 ** 32 - 3;
  const at = (n: number): Uint8Array =>
    dataPacket({ sqn: (first + n) >>> 0, trail: first, sequence: n + 1 });
  hear(receiver, 0, at(0), at(4), spmPacket({ trail: first, lead: 3, sequence: 8 }));
  assert.deepEqual(naks(waitUntil(receiver, 20)).toSorted(), [
    'nak 2 3 to 192.168.1.7:40001',
    `nak ${2 ** 32 - 2} ${2 ** 32 - 1} 0 to 192.168.1.7:40001`,
  ]);
  hear(receiver, 20, at(6), at(1), at(3), at(2), at(5));
  assert.equal(receiver.counters.messagesDelivered, 7);
});

test('an older SPM than the last is ignored, the same one again is not', () => {
  const receiver = newReceiver();
  hear(receiver, 0, spm(0, 5), spm(9, 4), spm(0, 5));
  assert.equal(receiver.counters.spmsReceived, 2);
  assert.equal(receiver.counters.packetsMissed, 1);
});

test('SPM numbers wrap too', () => {
  const receiver = newReceiver();
  hear(receiver, 0, spm(0, 2 ** 32 - 1), spm(1, 0));
  assert.equal(receiver.counters.spmsReceived, 2);
});

test('a packet or an SPM whose trail lies ahead of itself is malformed', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(1, 2), spm(3, 0, 5));
  assert.equal(receiver.counters.malformed, 2);
  assert.deepEqual([receiver.counters.packetsReceived, receiver.counters.spmsReceived], [1, 0]);
});

test('an SPM whose lead lies beyond any window is not believed in anything', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spm(2 ** 30, 2 ** 30));
  assert.equal(receiver.counters.packetsMissed, 0);
  assert.equal(receiver.counters.beyondWindow, 1);
  hear(receiver, 1, spm(2, 1));
  assert.deepEqual(naks(waitUntil(receiver, 20)), ['nak 1 2 to 192.168.1.7:40001']);
});

test('a packet beyond the window is dropped, the last one within it is not', () => {
  const receiver = newReceiver();
  const far = RECEIVE_WINDOW_PACKETS_MAX;
  hear(receiver, 0, plain(0), plain(far + 1));
  assert.equal(receiver.counters.beyondWindow, 1);
  hear(receiver, 0, plain(far));
  assert.equal(receiver.counters.packetsReceived, 2);
});

test('with too many holes a packet that makes another is dropped, the next in order is not', () => {
  const receiver = newReceiver();
  for (let hole = 0; hole <= RECEIVE_GAPS_MAX; hole += 1) hear(receiver, 0, plain(hole * 2));
  hear(receiver, 0, plain(RECEIVE_GAPS_MAX * 2 + 2));
  assert.equal(receiver.counters.beyondWindow, 1);
  hear(receiver, 0, plain(RECEIVE_GAPS_MAX * 2 + 1));
  assert.equal(receiver.counters.packetsReceived, RECEIVE_GAPS_MAX + 2);
});

test('with too many holes the end that an SPM shows is not taken for what is known', () => {
  const receiver = newReceiver();
  for (let hole = 0; hole <= RECEIVE_GAPS_MAX; hole += 1) hear(receiver, 0, plain(hole * 2));
  const lead = RECEIVE_GAPS_MAX * 2;
  hear(receiver, 0, spm(lead + 1, 0, 0, true));
  for (let hole = 0; hole < RECEIVE_GAPS_MAX; hole += 1) hear(receiver, 1, plain(hole * 2 + 1));
  assert.equal(told(receiver).at(-1), `messages ${lead + 1}-${lead + 1}`);
  hear(receiver, 2, spm(lead + 1, 1, 0, true), plain(lead + 1));
  assert.equal(told(receiver).at(-1), 'closed fin');
});

test('a trail that jumps by two billion, and is said again, is one loss', () => {
  const receiver = newReceiver();
  const far = 2 ** 31 - 2;
  hear(
    receiver,
    0,
    plain(0),
    spm(far, 1, far + 1),
    spm(far, 2, far + 1),
    dataPacket({ sqn: far + 1, trail: far + 1, sequence: far + 2 }),
  );
  assert.deepEqual(
    told(receiver).filter((text) => !text.startsWith('source')),
    [
      'opened',
      'messages 1-1',
      `lost 2-${far + 1} repair_expired`,
      `messages ${far + 2}-${far + 2}`,
    ],
  );
});

test('a confirmation, or the NAK of another receiver, holds ours back', () => {
  for (const feedback of [ncfPacket([1]), nakPacket([1])]) {
    const receiver = newReceiver({ random: () => 0.99 });
    hear(receiver, 0, plain(0), spm(0), plain(2));
    hear(receiver, 1, feedback);
    assert.deepEqual(naks(waitUntil(receiver, 40)), []);
    assert.equal(receiver.counters.naksSuppressed, 1);
  }
});

test('feedback about packets that nobody misses changes nothing', () => {
  const receiver = newReceiver();
  hear(receiver, 0, ncfPacket([1, 2, 3]), plain(0), spm(0), ncfPacket([0, 2 ** 31]));
  assert.equal(receiver.counters.naksSuppressed, 0);
  assert.equal(receiver.counters.sessionsOpened, 1);
});

test('a FIN ends the session when all before it is accounted for', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spm(1, 0, 0, true));
  assert.equal(told(receiver).includes('closed fin'), false);
  hear(receiver, 1, plain(1));
  assert.deepEqual(told(receiver), ['messages 2-2', 'closed fin']);
});

test('the FIN of an empty session ends it', () => {
  const receiver = newReceiver();
  hear(receiver, 0, spm(-1, 0, 0, true));
  assert.deepEqual(told(receiver), ['opened', 'source gateway-7', 'closed fin']);
});

test('a publisher that ended with a tail nobody can repair leaves a loss, then the end', () => {
  const receiver = newReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, plain(0), spm(2, 0, 0, true));
  waitUntil(receiver, 1_000);
  assert.deepEqual(told(receiver).slice(-2), ['lost 2-3 repair_expired', 'closed fin']);
});

test('a block of many messages counts each', () => {
  const receiver = newReceiver();
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, messages: emptyMessages(1_024) }));
  hear(receiver, 0, dataPacket({ sqn: 1, sequence: 1_025 }));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1024', 'messages 1025-1025']);
});

test('all orders of arrival of six packets with up to two losses give the same messages', () => {
  const random = seededRandom(1);
  for (const order of arrivals([0, 1, 2, 3, 4, 5], 2)) {
    const receiver = newReceiver({ random, repairTimeoutMs: 500 });
    hear(receiver, 0, spm(-1));
    for (const sqn of order) hear(receiver, 1, plain(sqn));
    hear(receiver, 2, spm(5, 1));
    waitUntil(receiver, 600);
    const expected = [0, 1, 2, 3, 4, 5].map((sqn) => order.includes(sqn));
    assert.deepEqual(accounted(told(receiver)), expected, `arrivals ${order.join(' ')}`);
  }
});

/** Every order of every choice of at least length − `lossesMax` of `sqns`. */
function* arrivals(sqns: readonly number[], lossesMax: number): Generator<number[]> {
  if (sqns.length <= lossesMax) yield [];
  for (const [index, sqn] of sqns.entries()) {
    const others = sqns.toSpliced(index, 1);
    for (const rest of arrivals(others, lossesMax)) yield [sqn, ...rest];
  }
}

/** Per sequence from 1: whether it was delivered. Fails if any is told twice, or out of order. */
function accounted(texts: readonly string[]): boolean[] {
  const fates: boolean[] = [];
  for (const text of texts) {
    const [, kind, first, last] = /^(messages|lost) (\d+)-(\d+)/.exec(text) ?? [];
    if (kind === undefined) continue;
    assert.equal(Number(first), fates.length + 1, texts.join(', '));
    for (let n = Number(first); n <= Number(last); n += 1) fates.push(kind === 'messages');
  }
  return fates;
}

test('an SPM ahead of a hole tells how far the publisher is', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spm(3));
  assert.deepEqual(leads(receiver), [4]);
  hear(receiver, 1, plain(1), plain(2), plain(3), spm(3, 1));
  assert.deepEqual(leads(receiver), []);
});

test('an SPM in the middle of a big message tells no lead where all before it is told', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), spmPacket({ lead: 2, sequence: 2 }));
  assert.deepEqual(leads(receiver), []);
  hear(receiver, 1, spmPacket({ sqn: 1, lead: 3, sequence: 3 }));
  assert.deepEqual(leads(receiver), [2]);
});

test('an SPM in the middle of the first message of a session tells no lead', () => {
  const receiver = newReceiver({ join: 'live' });
  const fragment = { firstSqn: 0, startBytes: 1_400, apduBytes: 2_800 };
  const middle = dataPacket({ sqn: 1, sequence: 1, fragment, tsdu: new Uint8Array(1_400) });
  hear(receiver, 0, middle, spmPacket({ lead: 3, sequence: 1 }));
  assert.deepEqual(leads(receiver), []);
});

function leads(receiver: Receiver): number[] {
  const sequences: number[] = [];
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    if (event.kind === 'lead') sequences.push(event.sequence);
  }
  return sequences;
}

test('a live receiver that heard nothing but a repair sees the session expire', () => {
  const receiver = newReceiver({ join: 'live', sourceExpiryMs: 1_000 });
  hear(receiver, 0, dataPacket({ sqn: 3, sequence: 4, isRepair: true }));
  waitUntil(receiver, 2_000);
  assert.deepEqual(told(receiver), ['opened', 'closed expired']);
});
