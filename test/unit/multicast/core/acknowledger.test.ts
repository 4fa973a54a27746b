// A receiver that acknowledges: when, to whom, and how often.

import assert from 'node:assert/strict';
import test from 'node:test';
import { ACKS_PER_SEC_MAX, sessionFromWords } from '#base/mod.ts';
import type { Acknowledgement, Machine } from '#multicast/core/mod.ts';
import { readPacket, SESSION, TRANSPORT } from '#test/support/packets.ts';
import { dataPacket, hear, newReceiver, sent, spmPacket } from '#test/support/session-packets.ts';
import { newAuthenticator, SEALED_CHANNEL } from '#test/support/sealed-packets.ts';

const SESSION_ID = sessionFromWords(SESSION.sessionHigh, SESSION.sessionLow);
const FIRST = dataPacket({ sqn: 0, sequence: 1 });
const SPM = spmPacket({ lead: 0, sequence: 2 });

function news(through: number): Acknowledgement {
  return { through, exactFrom: 1, lost: [], nextSqn: through };
}

function heardReceiver(...packets: readonly Uint8Array[]) {
  const receiver = newReceiver({ acknowledges: true });
  hear(receiver, 0, ...packets);
  return receiver;
}

/** When acknowledgements left up to `untilMs`, with what they say. */
function acks(machine: Machine, untilMs: number): (readonly [atMs: number, through: number])[] {
  const told: (readonly [number, number])[] = [];
  for (let nowMs = machine.nextDeadlineMs; nowMs <= untilMs; nowMs = machine.nextDeadlineMs) {
    machine.handleTimeout(nowMs);
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
      const reader = readPacket(next.bytes);
      if (reader.kind === 'ack') told.push([nowMs, reader.sequence]);
    }
  }
  return told;
}

test('an acknowledgement goes to where the publisher hears NAKs, and nowhere else', () => {
  const receiver = heardReceiver(FIRST, SPM);
  receiver.acknowledge(SESSION_ID, { ...news(1), lost: [{ first: 1, last: 1 }] }, 5);
  receiver.handleTimeout(5);
  const transmit = receiver.pollTransmit();
  assert.ok(transmit !== undefined);
  assert.deepEqual([transmit.address, transmit.port], ['192.168.1.7', 40_001]);
  const { kind, sqn, sequence, archived, tsiSport, dataDport, sport } = readPacket(transmit.bytes);
  assert.deepEqual([kind, sqn, sequence], ['ack', 0, 1]);
  assert.deepEqual(archived, { exactFrom: 1, lost: [{ first: 1, last: 1 }] });
  assert.deepEqual(
    [tsiSport, dataDport, sport],
    [TRANSPORT.tsiSport, TRANSPORT.dataDport, TRANSPORT.dataDport],
  );
  assert.deepEqual(sent(receiver), []);
  assert.equal(receiver.counters.acksSent, 1);
});

test('it is repeated at growing distances, since it may be lost', () => {
  const receiver = heardReceiver(FIRST, SPM);
  receiver.acknowledge(SESSION_ID, news(1), 0);
  const times = acks(receiver, 20_000).map(([atMs]) => atMs);
  assert.deepEqual(times, [0, 250, 750, 1_750, 3_750, 7_750, 15_750]);
});

test('news are told at once, and of many the last 10 ms later', () => {
  const receiver = heardReceiver(FIRST, SPM);
  for (const through of [1, 2, 3]) {
    receiver.acknowledge(SESSION_ID, news(through), through);
    if (through < 3) assert.deepEqual(acks(receiver, through), through === 1 ? [[1, 1]] : []);
  }
  assert.deepEqual(acks(receiver, 100), [[11, 3]]);
});

test('who is not followed, or not asked to, acknowledges nothing', () => {
  const silent = newReceiver();
  hear(silent, 0, FIRST, SPM);
  silent.acknowledge(SESSION_ID, news(1), 0);
  assert.deepEqual(acks(silent, 1_000), []);
  const stranger = heardReceiver(FIRST, SPM);
  stranger.acknowledge(sessionFromWords(7, 7), news(1), 0);
  assert.deepEqual(acks(stranger, 1_000), []);
});

test('before anything says where the publisher hears, it waits', () => {
  const receiver = heardReceiver(FIRST);
  receiver.acknowledge(SESSION_ID, news(1), 0);
  assert.deepEqual(acks(receiver, 200), []);
  hear(receiver, 200, SPM);
  assert.deepEqual(acks(receiver, 300), [[250, 1]]);
});

test('a session that has ended is acknowledged while its publisher may linger', () => {
  const receiver = heardReceiver(FIRST, spmPacket({ lead: 0, sequence: 2, isFin: true }));
  assert.equal(receiver.sessionCount, 0);
  receiver.acknowledge(SESSION_ID, news(1), 20);
  assert.deepEqual(acks(receiver, 30), [[20, 1]]);
  acks(receiver, 60_000);
  assert.equal(receiver.nextDeadlineMs, Number.POSITIVE_INFINITY);
  receiver.acknowledge(SESSION_ID, news(1), 60_000);
  assert.deepEqual(acks(receiver, 90_000), []);
});

test('who no longer archives repeats nothing', () => {
  const receiver = heardReceiver(FIRST, SPM);
  receiver.acknowledge(SESSION_ID, news(1), 0);
  assert.equal(acks(receiver, 100).length, 1);
  receiver.ceaseToAcknowledge();
  assert.deepEqual(acks(receiver, 50_000), []);
  receiver.acknowledge(SESSION_ID, news(3), 50_000);
  assert.deepEqual(acks(receiver, 50_100), [[50_000, 3]]);
});

test('on a channel that requires authentication it carries a tag', () => {
  const authenticator = newAuthenticator();
  const receiver = newReceiver({ acknowledges: true, address: SEALED_CHANNEL, authenticator });
  const transport = { ...TRANSPORT, hasAuthentication: true };
  const packet = dataPacket({ sqn: 0, sequence: 1, transport });
  authenticator.seal(packet);
  hear(receiver, 0, packet);
  receiver.acknowledge(SESSION_ID, news(1), 0);
  assert.equal(receiver.sessionCount, 1);
  const spm = spmPacket({ lead: 0, sequence: 2, transport });
  authenticator.seal(spm);
  hear(receiver, 1, spm);
  receiver.handleTimeout(250);
  const transmits = [receiver.pollTransmit(), receiver.pollTransmit()];
  const bytes = transmits.find((transmit) => transmit && readPacket(transmit.bytes).kind === 'ack');
  assert.ok(bytes !== undefined);
  assert.equal(authenticator.check(bytes.bytes, readPacket(bytes.bytes)), 'genuine');
});

test('of many sessions each has its turn, and no more leave than may', () => {
  const receiver = newReceiver({ acknowledges: true });
  const words = Array.from({ length: 400 }, (_, n) => ({ sessionHigh: 1, sessionLow: n + 1 }));
  for (const [n, session] of words.entries()) {
    const transport = { tsiSport: 100 + n };
    hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, session, transport }));
    hear(receiver, 0, spmPacket({ lead: 0, sequence: 2, session, transport }));
  }
  const told = new Map<number, number>();
  for (let nowMs = 0; nowMs < 1_000; nowMs += 5) {
    for (const { sessionHigh, sessionLow } of words)
      receiver.acknowledge(sessionFromWords(sessionHigh, sessionLow), news(1), nowMs);
    receiver.handleTimeout(nowMs);
    for (let next = receiver.pollTransmit(); next !== undefined; next = receiver.pollTransmit()) {
      const reader = readPacket(next.bytes);
      if (reader.kind !== 'ack') continue;
      told.set(reader.sessionLow, (told.get(reader.sessionLow) ?? 0) + 1);
    }
  }
  const counts = [...told.values()];
  const sum = counts.reduce((one, other) => one + other, 0);
  assert.equal(counts.length, words.length);
  assert.ok(sum <= ACKS_PER_SEC_MAX * 1.2 && sum >= ACKS_PER_SEC_MAX * 0.8, `${sum}`);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, 'in turns');
});
