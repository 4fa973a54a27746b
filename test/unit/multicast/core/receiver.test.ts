import assert from 'node:assert/strict';
import test from 'node:test';
import {
  isSessionId,
  RECEIVE_SESSIONS_MAX,
  type SessionId,
  SESSIONS_REPLACED_PER_SEC_MAX,
} from '#base/mod.ts';
import type { Receiver, ResumePoint } from '#multicast/core/mod.ts';
import { toRepair } from '#multicast/wire/mod.ts';
import { packetOf, SESSION, TRANSPORT, writeData } from '#test/support/packets.ts';
import {
  dataPacket,
  hear,
  nakPacket,
  newReceiver,
  NEXT_SESSION,
  sent,
  SESSION_ID,
  spmPacket,
  told,
  waitUntil,
} from '#test/support/session-packets.ts';

const first = dataPacket({ sqn: 0, sequence: 1 });
const second = dataPacket({ sqn: 1, sequence: 2 });

/** The first packet of the `n`th of many sessions, each with a TSI of its own. */
function strangerPacket(n: number, fields: { sqn?: number; sequence?: number } = {}): Uint8Array {
  const session = { sessionHigh: 7, sessionLow: n + 1 };
  const transport = { gsiLow: n, tsiSport: n & 0xffff };
  return dataPacket({ sqn: 0, sequence: 1, ...fields, session, transport });
}

function point(
  nextSequence: number,
  nextSqn: number | undefined,
  session = SESSION_ID,
): ResumePoint {
  assert.ok(isSessionId(session));
  return { session, nextSequence, nextSqn };
}

/** A data packet as another PGM implementation sends it: without the session option. */
function foreignPacket(sqn: number): Uint8Array {
  const packet = packetOf((into) =>
    writeData(into, { ...TRANSPORT, ...SESSION, sqn, trail: 0 }, new Uint8Array(9)),
  );
  const bare = new Uint8Array(24 + 9);
  bare.set(packet.subarray(0, 24));
  bare.set(packet.subarray(packet.length - 9), 24);
  bare[5] = 0;
  // The two option bytes that are gone from the sum leave the checksum to be made anew.
  return withChecksum(bare);
}

function withChecksum(packet: Uint8Array): Uint8Array {
  packet.fill(0, 6, 8);
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += (packet[at] << 8) | (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = sum === 0xffff ? 0xffff : ~sum & 0xffff;
  packet[6] = checksum >>> 8;
  packet[7] = checksum;
  return packet;
}

test('a new receiver has nothing to say, to send or to wait for', () => {
  const receiver = newReceiver();
  receiver.handleTimeout(0);
  assert.deepEqual([told(receiver), sent(receiver)], [[], []]);
  assert.deepEqual([receiver.nextDeadlineMs, receiver.sessionCount], [Infinity, 0]);
});

test('a datagram that is no packet is counted by reason, and opens nothing', () => {
  const receiver = newReceiver();
  const flipped = first.slice();
  flipped[20] ^= 1;
  hear(receiver, 0, new Uint8Array(0), new Uint8Array(15), flipped, first.subarray(0, 40));
  assert.equal(receiver.counters.malformed, 4);
  assert.deepEqual(
    [...receiver.malformedReasons],
    [
      ['too_short', 2],
      ['checksum', 2],
    ],
  );
  assert.deepEqual([told(receiver), receiver.sessionCount], [[], 0]);
});

test('packets of another channel on the same group are not ours', () => {
  const receiver = newReceiver();
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, transport: { dataDport: 1 } }));
  assert.equal(receiver.counters.otherChannel, 1);
  assert.deepEqual(told(receiver), []);
});

test('control packets of unknown sessions open nothing', () => {
  const receiver = newReceiver();
  hear(receiver, 0, nakPacket([1]), spmPacket({ lead: 0, sequence: 1, hasSession: false }));
  assert.equal(receiver.sessionCount, 0);
  assert.equal(receiver.counters.foreign, 1);
});

test('a data packet without a session is foreign, also on the TSI of a session', () => {
  const receiver = newReceiver();
  hear(receiver, 0, foreignPacket(0), first, foreignPacket(1));
  assert.equal(receiver.counters.malformed, 0);
  assert.equal(receiver.counters.foreign, 2);
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1']);
  hear(receiver, 1, second);
  assert.deepEqual(told(receiver), ['messages 2-2']);
});

test('an SPM without a session changes nothing of the session on its TSI', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, spmPacket({ lead: 9, sequence: 1, hasSession: false }));
  assert.equal(receiver.counters.spmsReceived, 0);
});

test('publishers are told apart by TSI, wherever their datagrams come from', () => {
  const receiver = newReceiver();
  for (const sequence of [1, 2]) {
    for (const n of [0, 1, 65_536]) {
      hear(receiver, 0, strangerPacket(n, { sqn: sequence - 1, sequence }));
    }
  }
  assert.equal(receiver.sessionCount, 3);
  assert.equal(told(receiver).filter((text) => text === 'messages 2-2').length, 3);
});

test('a TSI differs from another in any of its parts', () => {
  const receiver = newReceiver();
  const parts = [{}, { gsiHigh: 1 }, { gsiLow: 1 }, { tsiSport: 1 }];
  for (const [index, transport] of parts.entries()) {
    const session = { sessionHigh: 1, sessionLow: index + 1 };
    hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, transport, session }));
  }
  assert.equal(receiver.sessionCount, 4);
});

test('the text of a TSI is 12 hex digits, a dot and the port', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first);
  const event = receiver.pollEvent();
  const tsi = '0a0b0c0d0e0f.4369';
  assert.deepEqual(event, { kind: 'opened', session: SESSION_ID, tsi, isForeign: false });
});

test('a session belongs to one TSI: from another it is refused, not told twice', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, dataPacket({ sqn: 0, sequence: 1, transport: { tsiSport: 1 } }), second);
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'messages 2-2']);
  assert.equal(receiver.counters.sessionsRefused, 1);
});

test('a restarted publisher on the same TSI is a new session, and the old one is over', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, dataPacket({ sqn: 0, sequence: 1, session: NEXT_SESSION }), second);
  assert.deepEqual(told(receiver), [
    'opened',
    'messages 1-1',
    'closed expired',
    'opened',
    'messages 1-1',
  ]);
  assert.equal(receiver.counters.late, 1);
  assert.equal(receiver.sessionCount, 1);
});

test('a TSI whose sessions change with every packet costs bounded memory', () => {
  const receiver = newReceiver();
  for (let n = 1; n <= 3 * RECEIVE_SESSIONS_MAX; n += 1) {
    const session = { sessionHigh: 1, sessionLow: n };
    hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, session }));
  }
  assert.equal(receiver.sessionCount, 1);
  assert.ok(receiver.rememberedCount <= 2 * RECEIVE_SESSIONS_MAX);
});

test('packets of a session that ended are late, and open nothing', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2, isFin: true }));
  assert.equal(told(receiver).at(-1), 'closed fin');
  hear(receiver, 1, first, spmPacket({ sqn: 1, lead: 0, sequence: 2, isFin: true }));
  assert.equal(receiver.counters.late, 2);
  assert.deepEqual([told(receiver), receiver.sessionCount], [[], 0]);
});

/** Makes it follow as many sessions as it may: said twice, since it is crowded by then. */
function crowd(receiver: Receiver): void {
  for (let n = 0; n < RECEIVE_SESSIONS_MAX; n += 1) {
    hear(receiver, 0, strangerPacket(n), strangerPacket(n));
  }
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX);
}

test('while half of the bound is followed a session that is said once is refused', () => {
  const receiver = newReceiver();
  for (let n = 0; n < RECEIVE_SESSIONS_MAX; n += 1) hear(receiver, 0, strangerPacket(n));
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX / 2);
  hear(receiver, 5_000, strangerPacket(RECEIVE_SESSIONS_MAX - 1));
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX / 2 + 1);
  hear(receiver, 5_001, strangerPacket(RECEIVE_SESSIONS_MAX - 2));
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX / 2 + 1);
});

test('at the bound the stranger heard longest ago makes room, some hundred times a second', () => {
  const receiver = newReceiver();
  crowd(receiver);
  told(receiver);
  hear(receiver, 0, strangerPacket(0, { sqn: 1, sequence: 2 }));
  assert.deepEqual(told(receiver), ['messages 2-2']);
  for (let n = 0; n < 1_000; n += 1) {
    const newcomer = strangerPacket(RECEIVE_SESSIONS_MAX + n);
    hear(receiver, 0, newcomer, newcomer);
  }
  const { sessionsReplaced, sessionsOpened } = receiver.counters;
  assert.equal(sessionsReplaced, SESSIONS_REPLACED_PER_SEC_MAX);
  assert.equal(sessionsOpened, RECEIVE_SESSIONS_MAX + SESSIONS_REPLACED_PER_SEC_MAX);
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX);
  told(receiver);
  hear(receiver, 0, strangerPacket(0, { sqn: 2, sequence: 3 }));
  assert.deepEqual(told(receiver), ['messages 3-3']);
  hear(receiver, 0, strangerPacket(1, { sqn: 2, sequence: 3 }));
  assert.deepEqual(told(receiver), []);
});

test('beyond the bound of sessions heard often new ones are refused and known ones go on', () => {
  const receiver = newReceiver();
  crowd(receiver);
  for (let n = 0; n < RECEIVE_SESSIONS_MAX; n += 1) {
    for (let sqn = 1; sqn < 8; sqn += 1) {
      hear(receiver, 0, strangerPacket(n, { sqn, sequence: sqn + 1 }));
    }
  }
  const before = receiver.counters.sessionsRefused;
  for (let n = 0; n < 10; n += 1) hear(receiver, 0, strangerPacket(RECEIVE_SESSIONS_MAX));
  assert.equal(receiver.counters.sessionsRefused - before, 10);
  told(receiver);
  hear(receiver, 0, strangerPacket(5, { sqn: 8, sequence: 9 }));
  assert.deepEqual(told(receiver), ['messages 9-9']);
});

test('sessions that expire make room for others', () => {
  const receiver = newReceiver({ sourceExpiryMs: 1_000 });
  crowd(receiver);
  waitUntil(receiver, 1_000);
  assert.equal(receiver.sessionCount, 0);
  hear(receiver, 1_001, strangerPacket(RECEIVE_SESSIONS_MAX));
  assert.equal(receiver.sessionCount, 1);
});

test('a session that is heard again after it expired goes on where it was left', () => {
  const receiver = newReceiver({ sourceExpiryMs: 1_000 });
  hear(receiver, 0, first);
  waitUntil(receiver, 1_000);
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'closed expired']);
  hear(receiver, 5_000, first, second);
  assert.deepEqual(told(receiver), ['opened', 'messages 2-2']);
});

test('a session of which nothing was told is joined anew when it is heard again', () => {
  const receiver = newReceiver({ sourceExpiryMs: 1_000 });
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, tsdu: new Uint8Array(9) }));
  waitUntil(receiver, 1_000);
  assert.deepEqual(told(receiver), ['opened', 'closed expired']);
  hear(receiver, 5_000, first);
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1']);
});

test('a restored session that is never heard is told as expired, once', () => {
  const receiver = newReceiver({ sourceExpiryMs: 1_000 });
  receiver.restore(point(8, 7), 500);
  waitUntil(receiver, 1_499);
  assert.deepEqual(told(receiver), []);
  waitUntil(receiver, 100_000);
  assert.deepEqual(told(receiver), ['closed expired']);
  assert.equal(receiver.nextDeadlineMs, Infinity);
});

test('a session that its owner recalls goes on where the owner left it', () => {
  const receiver = newReceiver({ recall: () => point(2, 2 ** 32 + 1) });
  hear(receiver, 0, first, second);
  assert.deepEqual(told(receiver), ['opened', 'messages 2-2']);
  assert.equal(receiver.counters.duplicates, 1);
});

test('a session that its owner recalls as finished opens nothing', () => {
  const receiver = newReceiver({ recall: () => 'finished' });
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2, isFin: true }));
  assert.deepEqual(told(receiver), []);
  assert.equal(receiver.counters.late, 2);
});

test('a restored session of which nothing was told begins like a new one', () => {
  const receiver = newReceiver({ repairTimeoutMs: 1_000 });
  receiver.restore(point(1, undefined), 0);
  const sqn = 2 ** 31 + 5;
  hear(receiver, 0, dataPacket({ sqn, trail: sqn, sequence: 7 }));
  assert.deepEqual(told(receiver), ['opened', 'lost 1-6 late_join', 'messages 7-7']);
});

test('a restored session that is heard does not expire for its restoring', () => {
  const receiver = newReceiver({ sourceExpiryMs: 1_000 });
  receiver.restore(point(2, 2 ** 32 + 1), 0);
  hear(receiver, 900, second);
  waitUntil(receiver, 1_800);
  assert.deepEqual(told(receiver), ['opened', 'messages 2-2']);
});

test('events come out in the order in which they happened, also when more come in between', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first);
  assert.equal(receiver.pollEvent()?.kind, 'opened');
  hear(receiver, 0, second);
  assert.deepEqual(told(receiver), ['messages 1-1', 'messages 2-2']);
  hear(receiver, 0, dataPacket({ sqn: 2, sequence: 3 }));
  assert.deepEqual(told(receiver), ['messages 3-3']);
});

test('a receiver that slept through the expiry waits for its publishers to be heard again', () => {
  const receiver = newReceiver({ sourceExpiryMs: 5_000 });
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2 }));
  receiver.handleTimeout(60_000);
  assert.equal(told(receiver).includes('closed expired'), false);
  hear(receiver, 60_001, second);
  assert.deepEqual(told(receiver), ['messages 2-2']);
  waitUntil(receiver, 65_001, 60_001);
  assert.deepEqual(told(receiver), ['closed expired']);
});

test('a receiver that slept through the repair timeout asks before it gives up', () => {
  const receiver = newReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, first, spmPacket({ lead: 1, sequence: 3 }));
  receiver.handleTimeout(30_000);
  assert.deepEqual(sent(receiver)[0], 'nak 1 to 192.168.1.7:40001');
  hear(receiver, 30_001, second);
  assert.equal(told(receiver).at(-1), 'messages 2-2');
});

test('a packet and its repair are the same packet', () => {
  const receiver: Receiver = newReceiver();
  const repair = second.slice();
  toRepair(repair, 0);
  hear(receiver, 0, first, repair, second);
  assert.deepEqual([receiver.counters.repairsReceived, receiver.counters.duplicates], [1, 1]);
});

test('sessions are known by id', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first);
  const event = receiver.pollEvent();
  const session: SessionId | undefined = event?.session;
  assert.equal(session, SESSION_ID);
});
