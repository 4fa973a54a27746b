// Whatever bytes arrive, no machine throws, opens a session it should not, or tells a session's
// sequences out of order. Damaged packets keep a checksum that no longer fits; forged ones get one
// that does.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { type Framing, isSessionId, type SessionId } from '#base/mod.ts';
import { Publisher, type ReceiverEvent } from '#multicast/core/mod.ts';
import { writeSpmr } from '#multicast/wire/mod.ts';
import { foreignData, foreignSpm } from '#test/support/foreign-packets.ts';
import { packetOf, TRANSPORT } from '#test/support/packets.ts';
import {
  CHANNEL,
  dataPacket,
  emptyMessages,
  hear,
  nakPacket,
  ncfPacket,
  newReceiver,
  PUBLISHER,
  SESSION_ID,
  spmPacket,
  told,
} from '#test/support/session-packets.ts';

const SAMPLES: readonly Uint8Array[] = [
  dataPacket({ sqn: 0, sequence: 1 }),
  dataPacket({ sqn: 1, sequence: 2, messages: emptyMessages(3) }),
  dataPacket({ sqn: 4, sequence: 7, trail: 1, isRepair: true }),
  dataPacket({
    sqn: 5,
    sequence: 8,
    fragment: { firstSqn: 5, startBytes: 0, apduBytes: 200 },
    tsdu: new Uint8Array(100),
  }),
  dataPacket({
    sqn: 6,
    sequence: 8,
    fragment: { firstSqn: 5, startBytes: 100, apduBytes: 200 },
    tsdu: new Uint8Array(100),
  }),
  spmPacket({ sqn: 1, trail: 0, lead: 6, sequence: 9 }),
  spmPacket({ sqn: 2, trail: 3, lead: 9, sequence: 12, isFin: true }),
  ncfPacket([2, 3]),
  nakPacket([0, 3, 5, 6]),
  packetOf((into) => writeSpmr(into, TRANSPORT)),
];

/** What a ZeroMQ source sends, and any source of raw: two messages, and one that lies across. */
const FOREIGN_SAMPLES: readonly Uint8Array[] = [
  foreignData({ sqn: 0, tsdu: Uint8Array.of(0, 0, 2, 0, 65, 1, 0) }),
  foreignData({ sqn: 1, tsdu: Uint8Array.of(0, 0, 5, 1, 65, 66) }),
  foreignData({ sqn: 2, tsdu: Uint8Array.of(0, 4, 67, 68, 1, 0, 1, 0) }),
  foreignData({ sqn: 3, tsdu: Uint8Array.of(255, 255, 7), isRepair: true }),
  foreignSpm({ sqn: 1, trail: 0, lead: 4 }),
  foreignSpm({ sqn: 9, trail: 3, lead: 9, isFin: true }),
];

function newPublisher(): Publisher {
  assert.ok(isSessionId(SESSION_ID));
  const publisher = new Publisher(
    {
      address: CHANNEL,
      session: SESSION_ID,
      source: 'gateway-7',
      transport: TRANSPORT,
      nla: '192.168.1.7',
      nakPort: 40_001,
      packetBytesMax: 300,
      messageBytesMax: 1_000,
      windowPackets: 16,
      windowBytes: 100_000,
      rateBytesPerSec: 1_000_000,
      flushMs: 0,
      lingerMs: 100,
    },
    0,
  );
  for (let n = 0; n < 6; n += 1) publisher.publish(new Uint8Array(200), 1e15, 0);
  publisher.handleTimeout(1);
  while (publisher.pollTransmit() !== undefined);
  return publisher;
}

/** Makes the checksum right again: what a forger does. */
function forged(packet: Uint8Array): Uint8Array {
  if (packet.length < 16) return packet;
  packet.fill(0, 6, 8);
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += (packet[at] << 8) | (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = sum === 0xffff ? 0xffff : ~sum & 0xffff;
  packet[6] = checksum >>> 8;
  packet[7] = checksum;
  return packet;
}

/** Per session every sequence is told once and in order, between its opening and its end. */
function assertInOrder(events: readonly ReceiverEvent[]): void {
  const next = new Map<SessionId, number>();
  const open = new Set<SessionId>();
  for (const event of events) {
    if (event.kind === 'opened') open.add(event.session);
    else assert.ok(open.has(event.session), `${event.kind} of a session that is not open`);
    if (event.kind === 'closed') open.delete(event.session);
    if (event.kind !== 'messages' && event.kind !== 'lost') continue;
    const last = event.lastSequence;
    assert.equal(event.firstSequence, next.get(event.session) ?? event.firstSequence);
    assert.ok(last >= event.firstSequence && Number.isSafeInteger(last));
    next.set(event.session, last + 1);
  }
}

test('no packet with any single bit flipped, or cut short anywhere, opens a session', () => {
  const receiver = newReceiver();
  for (const packet of SAMPLES.slice(0, 7)) {
    for (let bit = 0; bit < packet.length * 8; bit += 1) {
      const flipped = packet.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      hear(receiver, 0, flipped);
    }
    for (let length = 0; length < packet.length; length += 1) {
      hear(receiver, 0, packet.slice(0, length));
    }
  }
  assert.deepEqual([receiver.sessionCount, told(receiver)], [0, []]);
  assert.ok(receiver.counters.malformed > 5_000);
});

test('any bytes at all are swallowed by both machines', () => {
  const publisher = newPublisher();
  const receiver = newReceiver();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      for (const machine of [publisher, receiver]) machine.handleDatagram(bytes, PUBLISHER, 1);
    }),
    { numRuns: 2_000 },
  );
  assert.deepEqual([receiver.sessionCount, publisher.counters.repairsSent], [0, 0]);
});

const mutation = fc.record({
  sample: fc.nat(SAMPLES.length + FOREIGN_SAMPLES.length - 1),
  changes: fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 4 }),
  cut: fc.option(fc.nat(100), { freq: 8 }),
  waitMs: fc.oneof(fc.nat(20), fc.constant(2_000)),
});

test('forged packets never break a machine, nor the order in which a session is told', () => {
  const framings = fc.constantFrom<Framing>('native', 'raw', 'zmq');
  const samples = [...SAMPLES, ...FOREIGN_SAMPLES];
  fc.assert(
    fc.property(framings, fc.array(mutation, { maxLength: 40 }), (framing, mutations) => {
      const publisher = newPublisher();
      const address = { ...CHANNEL, framing };
      const receiver = newReceiver({ address, repairTimeoutMs: 1_000, sourceExpiryMs: 3_000 });
      const events: ReceiverEvent[] = [];
      let nowMs = 1;
      for (const { sample, changes, cut, waitMs } of mutations) {
        const packet = samples[sample]?.slice() ?? new Uint8Array(0);
        for (const [at, value] of changes) if (at < packet.length) packet[at] = value;
        const bytes = forged(packet.slice(0, cut ?? packet.length));
        for (const machine of [publisher, receiver]) {
          machine.handleDatagram(bytes, PUBLISHER, nowMs);
          for (let steps = 0; machine.nextDeadlineMs <= nowMs + waitMs; steps += 1) {
            assert.ok(steps < 5_000, 'a deadline moves when it is handled');
            machine.handleTimeout(Math.max(nowMs, machine.nextDeadlineMs));
            while (machine.pollTransmit() !== undefined);
          }
          while (machine.pollTransmit() !== undefined);
        }
        for (let next = receiver.pollEvent(); next !== undefined; next = receiver.pollEvent())
          events.push(next);
        nowMs += waitMs;
      }
      assertInOrder(events);
    }),
    { numRuns: 3_000 },
  );
});
