// What the machines do with packets that prove nothing, and that all they send proves something.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Machine, Publisher, Receiver } from '#multicast/core/mod.ts';
import { writeNak, writeSpm, writeSpmr } from '#multicast/wire/mod.ts';
import { newPublisher, run, sentPublisher } from '#test/support/driven-publisher.ts';
import { GROUP_NLA, packetOf, readPacket, SESSION, SOURCE_NLA } from '#test/support/packets.ts';
import {
  keySource,
  newAuthenticator,
  NEW_KEY,
  OLD_KEY,
  SEALED_CHANNEL,
  SEALED_TRANSPORT,
  sealedBy,
} from '#test/support/sealed-packets.ts';
import {
  dataPacket,
  hear,
  nakPacket,
  newReceiver,
  sent,
  spmPacket,
  told,
  waitUntil,
} from '#test/support/session-packets.ts';

const authenticator = newAuthenticator();
const stranger = newAuthenticator(NEW_KEY);
const forger = newAuthenticator(OLD_KEY.replace('0123', '3210'));

function sealedData(sqn: number, by = authenticator, trail = 0): Uint8Array {
  const fields = { sqn, sequence: sqn + 1, trail, transport: SEALED_TRANSPORT };
  return sealedBy(by, dataPacket(fields));
}

function sealedSpm(fields: { sqn: number; lead: number; trail?: number }, by = authenticator) {
  const { sqn, lead, trail = 0 } = fields;
  const session = { ...SESSION, sequence: lead + 2 };
  const spm = { ...SEALED_TRANSPORT, sqn, trail, lead, nla: SOURCE_NLA, session };
  return sealedBy(
    by,
    packetOf((into) => writeSpm(into, spm)),
  );
}

function sealedNak(sqns: readonly number[], by = authenticator): Uint8Array {
  const nlas = { nla: SOURCE_NLA, groupNla: GROUP_NLA };
  const fields = { ...SEALED_TRANSPORT, ...nlas, sqns, count: sqns.length };
  return sealedBy(
    by,
    packetOf((into) => writeNak(into, fields)),
  );
}

function newSealedReceiver(options: Parameters<typeof newReceiver>[0] = {}): Receiver {
  return newReceiver({ address: SEALED_CHANNEL, authenticator, ...options });
}

function rejectionsOf({ counters }: Receiver | Publisher): number[] {
  const { unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong } = counters;
  return [unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong];
}

/** The verdicts on everything that `machine` has to send. */
function verdictsOn(machine: Machine, judge = authenticator): Set<string> {
  const verdicts = new Set<string>();
  for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
    const reader = readPacket(next.bytes);
    verdicts.add(`${reader.kind} ${judge.check(next.bytes, reader)}`);
  }
  return verdicts;
}

test('sealed packets are heard as others are on an open channel', () => {
  const receiver = newSealedReceiver();
  hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 1 }), sealedData(1));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1', 'messages 2-2']);
  assert.deepEqual(rejectionsOf(receiver), [0, 0, 0]);
});

test('a receiver counts what proves nothing by its kind, and nothing else happens', () => {
  const receiver = newSealedReceiver();
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1 }), spmPacket({ lead: 9, sequence: 11 }));
  hear(receiver, 0, sealedData(0, stranger), sealedSpm({ sqn: 0, lead: 9 }, stranger));
  hear(receiver, 0, sealedData(5, forger), sealedSpm({ sqn: 0, lead: 9 }, forger));
  hear(receiver, 0, sealedNak([3], forger));
  assert.deepEqual(rejectionsOf(receiver), [2, 2, 3]);
  assert.deepEqual([told(receiver), waitUntil(receiver, 10_000)], [[], []]);
  const { packetsReceived, spmsReceived, foreign, late } = receiver.counters;
  assert.deepEqual([packetsReceived, spmsReceived, foreign, late], [0, 0, 0, 0]);
  assert.deepEqual([receiver.sessionCount, receiver.rememberedCount], [0, 0]);
});

test('a session that is followed is not moved by forged packets', () => {
  const receiver = newSealedReceiver();
  hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 0 }));
  told(receiver);
  hear(receiver, 1, sealedData(7, forger), sealedSpm({ sqn: 5, lead: 90, trail: 80 }, forger));
  hear(receiver, 1, dataPacket({ sqn: 1, sequence: 2 }));
  assert.deepEqual([told(receiver), waitUntil(receiver, 1_000)], [[], []]);
  hear(receiver, 1_000, sealedData(1), sealedSpm({ sqn: 1, lead: 1 }));
  assert.deepEqual(told(receiver), ['messages 2-2']);
});

test('forged packets do not keep a session alive', () => {
  const receiver = newSealedReceiver({ sourceExpiryMs: 5_000 });
  hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 0 }));
  told(receiver);
  for (let atMs = 1_000; atMs <= 6_000; atMs += 1_000) {
    hear(receiver, atMs, sealedSpm({ sqn: 1, lead: 0 }, forger));
    waitUntil(receiver, atMs, atMs);
  }
  assert.deepEqual(told(receiver), ['closed expired']);
});

test('a request that is overheard without proof does not hold ours back', () => {
  const heard = newSealedReceiver();
  const forged = newSealedReceiver();
  for (const receiver of [heard, forged])
    hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 0 }), sealedData(2));
  hear(heard, 0, sealedNak([1]));
  hear(forged, 0, sealedNak([1], forger), nakPacket([1]));
  assert.deepEqual([waitUntil(heard, 12), waitUntil(forged, 12).length], [[], 2]);
  assert.deepEqual([heard.counters.naksSuppressed, forged.counters.naksSuppressed], [1, 0]);
});

test('what a receiver sends is sealed', () => {
  const asking = newSealedReceiver();
  hear(asking, 0, sealedData(0));
  asking.handleTimeout(1_000);
  assert.deepEqual(verdictsOn(asking), new Set(['spmr genuine']));
  hear(asking, 1_000, sealedSpm({ sqn: 0, lead: 70 }));
  asking.handleTimeout(1_020);
  assert.deepEqual(verdictsOn(asking), new Set(['nak genuine']));
});

test('what a publisher sends is sealed, at its first and at every later sending', () => {
  const publisher = sentPublisher(3, { authenticator, address: SEALED_CHANNEL });
  publisher.publish(new Uint8Array(9), 1e15, 2_000);
  publisher.publish(new Uint8Array(900), 1e15, 2_000);
  publisher.handleTimeout(2_300);
  assert.deepEqual(verdictsOn(publisher), new Set(['odata genuine', 'spm genuine']));
  for (const atMs of [2_400, 2_500]) {
    hear(publisher, atMs, sealedNak([0, 2]));
    const kinds = [...verdictsOn(publisher)].filter((verdict) => !verdict.startsWith('spm'));
    assert.deepEqual(kinds, ['ncf genuine', 'rdata genuine']);
  }
  publisher.close(3_000);
  publisher.handleTimeout(3_001);
  assert.deepEqual(verdictsOn(publisher), new Set(['spm genuine']));
});

test('no packet of a publisher is larger for being sealed', () => {
  const publisher = newPublisher({ authenticator, address: SEALED_CHANNEL, packetBytesMax: 300 });
  for (const bytes of [1_000, 227, 228, 229, 250, 251, 252, 0])
    publisher.publish(new Uint8Array(bytes), 1e15, 0);
  publisher.handleTimeout(1);
  const lengths: number[] = [];
  for (let next = publisher.pollTransmit(); next !== undefined; next = publisher.pollTransmit())
    lengths.push(next.bytes.length);
  assert.equal(Math.max(...lengths), 300);
});

test('a publisher answers neither NAKs nor requests for SPMs that prove nothing', () => {
  const publisher = sentPublisher(3, { authenticator, address: SEALED_CHANNEL });
  const bareSpmr = { ...SEALED_TRANSPORT, hasAuthentication: false };
  hear(publisher, 1_001, nakPacket([0]), sealedNak([1], stranger), sealedNak([1], forger));
  hear(
    publisher,
    1_001,
    packetOf((into) => writeSpmr(into, bareSpmr)),
  );
  assert.deepEqual([run(publisher, 1_020, true), rejectionsOf(publisher)], [[], [2, 1, 1]]);
  assert.deepEqual([publisher.counters.naksReceived, publisher.counters.repairsSent], [0, 0]);
  hear(publisher, 1_021, sealedNak([1]));
  assert.deepEqual(run(publisher, 1_021), ['ncf 1', 'rdata 1']);
});

test('keys change under a running session without a packet being lost', () => {
  const keys = { receiver: keySource(OLD_KEY), publisher: keySource(OLD_KEY) };
  const publisher = newPublisher({
    address: SEALED_CHANNEL,
    authenticator: newAuthenticator(keys.publisher),
    flushMs: 0,
  });
  const receiver = newSealedReceiver({ authenticator: newAuthenticator(keys.receiver) });
  const usedKeys = new Set<number>();
  const steps: readonly (readonly ['receiver' | 'publisher', string])[] = [
    ['receiver', `${OLD_KEY}\n${NEW_KEY}`],
    ['publisher', `${OLD_KEY}\n${NEW_KEY}`],
    ['publisher', `${NEW_KEY}\n${OLD_KEY}`],
    ['receiver', `${NEW_KEY}\n${OLD_KEY}`],
    ['receiver', NEW_KEY],
    ['publisher', NEW_KEY],
  ];
  for (const [index, [who, text]] of steps.entries()) {
    keys[who].keys = keySource(text).keys;
    publisher.publish(new Uint8Array(200), 1e15, index * 10);
    publisher.handleTimeout(index * 10);
    for (let next = publisher.pollTransmit(); next !== undefined; next = publisher.pollTransmit()) {
      usedKeys.add(readPacket(next.bytes).keyId);
      hear(receiver, index * 10, next.bytes);
    }
  }
  const messages = told(receiver).filter((text) => text.startsWith('messages'));
  assert.deepEqual([messages.length, rejectionsOf(receiver)], [steps.length, [0, 0, 0]]);
  assert.deepEqual(usedKeys, new Set([1, 2]));
});

test('what is given up while its publisher proves nothing is lost as unauthenticated', () => {
  const receiver = newSealedReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 0 }), sealedData(2));
  hear(receiver, 10, sealedData(1, stranger));
  waitUntil(receiver, 3_000);
  hear(receiver, 60_000 - 1, sealedData(4));
  waitUntil(receiver, 62_000, 60_000);
  assert.deepEqual(told(receiver), [
    'opened',
    'messages 1-1',
    'lost 2-2 unauthenticated',
    'messages 3-3',
    'lost 4-4 repair_expired',
    'messages 5-5',
  ]);
});

test('a session heard again after its packets proved nothing for a while lost them to that', () => {
  const receiver = newSealedReceiver({ sourceExpiryMs: 5_000 });
  hear(receiver, 0, sealedData(0), sealedSpm({ sqn: 0, lead: 0 }));
  for (let atMs = 1_000; atMs <= 10_000; atMs += 1_000) {
    hear(receiver, atMs, sealedSpm({ sqn: 1, lead: atMs / 1_000 }, stranger));
    waitUntil(receiver, atMs, atMs);
  }
  hear(receiver, 11_000, sealedSpm({ sqn: 30, lead: 20, trail: 20 }));
  hear(receiver, 11_000, sealedData(20, authenticator, 20));
  assert.deepEqual(told(receiver), [
    'opened',
    'messages 1-1',
    'closed expired',
    'opened',
    'lost 2-20 unauthenticated',
    'messages 21-21',
  ]);
  assert.deepEqual(sent(receiver), []);
});
