import assert from 'node:assert/strict';
import test from 'node:test';
import { RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';
import { REPAIR_LINGER_MS } from '#multicast/core/repair-scheduler.ts';
import { writeSpmr } from '#multicast/wire/mod.ts';
import {
  AT_US,
  drain,
  kinds,
  newPublisher,
  run,
  sentPublisher,
} from '#test/support/driven-publisher.ts';
import { packetOf, readPacket, TRANSPORT } from '#test/support/packets.ts';
import { CHANNEL, hear, nakPacket } from '#test/support/session-packets.ts';

const UDP_HEADER_BYTES = 28;
/** Receivers that ask each in a lane of its own. */
const ASKERS = Array.from({ length: 5 }, (_, n) => ({ address: `10.0.0.${n}`, port: 7 }));

test('a new publisher shows its empty window', () => {
  assert.deepEqual(run(newPublisher(), 45, true), Array(3).fill('spm 0-4294967295'));
});

test('messages wait for company until the flush, then share a packet', () => {
  const publisher = newPublisher();
  for (let n = 0; n < 3; n += 1) publisher.publish(new Uint8Array(20), AT_US, 0);
  assert.deepEqual(run(publisher, 0.9), []);
  assert.deepEqual(run(publisher, 1), ['odata 0']);
  assert.equal(publisher.nextSequence, 4);
});

test('a full packet leaves without waiting', () => {
  const publisher = newPublisher();
  publisher.publish(new Uint8Array(200), AT_US, 0);
  publisher.publish(new Uint8Array(200), AT_US, 0);
  assert.deepEqual(run(publisher, 0), ['odata 0']);
});

test('sequences count messages, whatever packets they share', () => {
  const publisher = newPublisher();
  assert.equal(publisher.nextSequence, 1);
  publisher.publish(new Uint8Array(0), AT_US, 0);
  publisher.publish(new Uint8Array(1_000), AT_US, 0);
  assert.equal(publisher.nextSequence, 3);
  assert.deepEqual(run(publisher, 0), [
    'odata 0',
    'odata 1',
    'odata 2',
    'odata 3',
    'odata 4',
    'odata 5',
  ]);
});

test('a message of the largest size is taken, one byte more is not and changes nothing', () => {
  const publisher = newPublisher();
  assert.equal(publisher.publish(new Uint8Array(1_001), AT_US, 0), 'too_large');
  assert.equal(publisher.publish(new Uint8Array(1_000), AT_US, 0), 'accepted');
  assert.equal(publisher.nextSequence, 2);
});

test('the bytes of a message are copied', () => {
  const publisher = newPublisher();
  const payload = new Uint8Array(8).fill(1);
  publisher.publish(payload, AT_US, 0);
  payload.fill(2);
  publisher.handleTimeout(1);
  publisher.pollTransmit();
  const packet = publisher.pollTransmit()?.bytes;
  assert.deepEqual(packet?.slice(-8), new Uint8Array(8).fill(1));
});

test('when half the window waits to be sent a message is turned away, until some has left', () => {
  const publisher = newPublisher({ rateBytesPerSec: 10_000, windowPackets: 16 });
  const accepted: string[] = [];
  for (let n = 0; n < 40; n += 1) accepted.push(publisher.publish(new Uint8Array(200), AT_US, 0));
  const turnedAway = accepted.indexOf('would_block');
  assert.equal(turnedAway, 9);
  assert.deepEqual(new Set(accepted.slice(turnedAway)), new Set(['would_block']));
  assert.deepEqual([publisher.counters.blocked, publisher.nextSequence], [31, 10]);
  run(publisher, 500);
  assert.deepEqual(kinds(publisher), ['writable']);
  assert.equal(publisher.publish(new Uint8Array(200), AT_US, 500), 'accepted');
});

test('bytes that wait block as packets do', () => {
  const publisher = newPublisher({ rateBytesPerSec: 10_000, windowBytes: 6_000 });
  let count = 0;
  while (publisher.publish(new Uint8Array(900), AT_US, 0) === 'accepted') count += 1;
  assert.ok(count >= 2 && count <= 4, `${count} messages`);
});

test('no message is ever pushed out of the window before it is sent', () => {
  for (const windowPackets of [10, 11, 16]) {
    for (const windowBytes of [3_264, 4_000, 1_000_000]) {
      const publisher = newPublisher({ windowPackets, windowBytes, rateBytesPerSec: 20_000 });
      let sequence = 0;
      for (let nowMs = 0; nowMs < 2_000; nowMs += 7) {
        while (
          publisher.publish(new Uint8Array((sequence * 37) % 1_001), AT_US, nowMs) === 'accepted'
        )
          sequence += 1;
        run(publisher, nowMs);
      }
      assert.ok(sequence > 20);
    }
  }
});

test('a window in which the largest message has no room is a broken invariant', () => {
  assert.throws(() => newPublisher({ windowPackets: 9 }), /half the window holds the largest/);
  assert.throws(() => newPublisher({ windowBytes: 2_000 }), /half the window holds the largest/);
});

test('a window that no receiver could hold is a broken invariant', () => {
  assert.throws(
    () => newPublisher({ windowPackets: RECEIVE_WINDOW_PACKETS_MAX + 1 }),
    /receivers can hold/,
  );
});

test('an SPM shows what was sent, not what waits', () => {
  const publisher = newPublisher({ rateBytesPerSec: 2_000 });
  for (let n = 0; n < 6; n += 1) publisher.publish(new Uint8Array(200), AT_US, 0);
  let packet: Uint8Array | undefined;
  for (let nowMs = 0; nowMs <= 40; nowMs += 1) {
    publisher.handleTimeout(nowMs);
    for (let next = publisher.pollTransmit(); next !== undefined; next = publisher.pollTransmit())
      packet = next.bytes;
  }
  const spm = readPacket(packet ?? new Uint8Array(0));
  const { packetsSent } = publisher.counters;
  assert.ok(packetsSent > 0 && packetsSent < 5, `${packetsSent} packets sent`);
  assert.deepEqual([spm.kind, spm.lead, spm.sequence], ['spm', packetsSent - 1, packetsSent + 1]);
});

test('data leaves no faster than the rate, after one burst', () => {
  const publisher = newPublisher({ rateBytesPerSec: 100_000, windowPackets: 4_096 });
  for (let n = 0; n < 500; n += 1) publisher.publish(new Uint8Array(200), AT_US, 0);
  run(publisher, 1_000);
  const bytes = publisher.counters.bytesSent + publisher.counters.packetsSent * UDP_HEADER_BYTES;
  assert.ok(bytes > 99_000 && bytes < 103_500, `${bytes} bytes in the first second`);
});

test('the longer headers of IPv6 count in the rate', () => {
  const [ipv4, ipv6] = [CHANNEL.group, 'ff15::1:7'].map((group) => {
    const address = { ...CHANNEL, group };
    const publisher = newPublisher({ address, rateBytesPerSec: 100_000, windowPackets: 4_096 });
    for (let n = 0; n < 500; n += 1) publisher.publish(new Uint8Array(200), AT_US, 0);
    for (let deadlineMs = 0; deadlineMs <= 1_000; deadlineMs = publisher.nextDeadlineMs) {
      publisher.handleTimeout(deadlineMs);
      while (publisher.pollTransmit() !== undefined) continue;
    }
    return publisher.counters.packetsSent;
  });
  const packetBytes = 200 + 48 + 8;
  const expected = (packetBytes + 28) / (packetBytes + 48);
  assert.ok(Math.abs(ipv6 / ipv4 - expected) < 0.02, `${ipv6} of ${ipv4} packets`);
});

test('a NAK is confirmed at once and answered by the repair', () => {
  const publisher = sentPublisher(5);
  hear(publisher, 1_000, nakPacket([3, 1]));
  assert.deepEqual(drain(publisher), ['ncf 3 1', 'rdata 3', 'rdata 1']);
  assert.equal(publisher.counters.repairsSent, 2);
});

test('a NAK that comes again while the repair is fresh is taken as answered', () => {
  const publisher = sentPublisher(5);
  hear(publisher, 1_000, nakPacket([3]));
  drain(publisher);
  hear(publisher, 1_000 + REPAIR_LINGER_MS - 1, nakPacket([3]));
  assert.deepEqual(drain(publisher), []);
  hear(publisher, 1_000 + REPAIR_LINGER_MS, nakPacket([3]));
  assert.deepEqual(drain(publisher), ['ncf 3', 'rdata 3']);
});

test('a thousand NAKs for one packet cost one repair', () => {
  const publisher = sentPublisher(5);
  for (let n = 0; n < 1_000; n += 1) hear(publisher, 1_000, nakPacket([3, 3, 3]));
  assert.equal(drain(publisher).filter((text) => text === 'rdata 3').length, 1);
});

test('a NAK for what was never sent is counted and not confirmed', () => {
  const publisher = sentPublisher(5);
  hear(publisher, 1_000, nakPacket([5, 6, 2 ** 31]));
  assert.deepEqual(drain(publisher), []);
  assert.equal(publisher.counters.naksUnsent, 3);
});

test('a NAK before anything was sent is for what was never sent', () => {
  for (const firstSqn of [0, 2 ** 32 - 1, 2 ** 32]) {
    const publisher = newPublisher({ firstSqn });
    run(publisher, 100);
    hear(
      publisher,
      100,
      nakPacket([0, 1, 2 ** 32 - 1].filter((sqn) => sqn !== (firstSqn - 1) >>> 0)),
    );
    assert.deepEqual(drain(publisher), []);
    assert.ok(publisher.counters.naksUnsent >= 2, `${firstSqn}`);
  }
});

test('a NAK for what left the window is answered by an SPM that shows the trail', () => {
  const publisher = sentPublisher(20);
  hear(publisher, 1_000, nakPacket([0, 3, 4]));
  assert.deepEqual(run(publisher, 1_020, true), ['ncf 4', 'spm 4-19', 'rdata 4']);
  assert.equal(publisher.counters.naksExpired, 2);
});

test('SPMs that are asked for leave at a bounded pace', () => {
  const publisher = sentPublisher(1);
  const before = publisher.counters.spmsSent;
  const spmr = packetOf((into) => writeSpmr(into, TRANSPORT));
  for (let nowMs = 1_000; nowMs < 2_000; nowMs += 1) {
    hear(publisher, nowMs, spmr);
    run(publisher, nowMs);
  }
  const asked = publisher.counters.spmsSent - before;
  assert.ok(asked >= 48 && asked <= 51, `${asked} SPMs in a second`);
});

test('the oldest packet of a full window can still be repaired, the one before cannot', () => {
  const publisher = sentPublisher(17);
  hear(publisher, 1_000, nakPacket([1, 0]));
  assert.deepEqual(
    drain(publisher).filter((text) => text.startsWith('rdata')),
    ['rdata 1'],
  );
});

test('a repair that left the window while it waited is given up', () => {
  const publisher = sentPublisher(16, { rateBytesPerSec: 50_000 }, 10);
  hear(publisher, 1_000, nakPacket([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
  for (let n = 0; n < 6; n += 1) publisher.publish(new Uint8Array(200), AT_US, 1_000);
  run(publisher, 2_000);
  const { repairsSent, repairsExpired } = publisher.counters;
  assert.equal(repairsSent + repairsExpired, 16);
  assert.ok(repairsExpired > 0);
});

test('repairs keep their share of the rate while data flows', () => {
  const publisher = sentPublisher(100, { rateBytesPerSec: 100_000, windowPackets: 256 });
  for (let n = 0; n < 128; n += 1) publisher.publish(new Uint8Array(200), AT_US, 1_000);
  hear(publisher, 1_000, nakPacket(Array.from({ length: 60 }, (_, index) => index)));
  run(publisher, 1_200);
  const { repairsSent, packetsSent } = publisher.counters;
  assert.ok(repairsSent >= 15 && repairsSent <= 30, `${repairsSent} repairs`);
  assert.ok(packetsSent - 100 >= 60, `${packetsSent - 100} packets`);
});

test('while no data waits repairs may use all of the rate', () => {
  const publisher = sentPublisher(100, { rateBytesPerSec: 100_000, windowPackets: 256 });
  hear(publisher, 1_000, nakPacket(Array.from({ length: 60 }, (_, index) => index)));
  run(publisher, 1_130);
  assert.ok(publisher.counters.repairsSent >= 55, `${publisher.counters.repairsSent} repairs`);
});

test('packets of other publishers and garbage are counted and dropped', () => {
  const publisher = sentPublisher(5);
  for (const part of [{ gsiHigh: 1 }, { gsiLow: 1 }, { tsiSport: 1 }, { dataDport: 1 }]) {
    hear(publisher, 1_000, nakPacket([1], { ...TRANSPORT, ...part }));
  }
  hear(publisher, 1_000, new Uint8Array(0), new Uint8Array(300));
  assert.deepEqual([publisher.counters.notOurs, publisher.counters.malformed], [4, 2]);
  assert.deepEqual(drain(publisher), []);
});

test('packet numbers wrap in data, NAKs and repairs', () => {
  const publisher = sentPublisher(4, { firstSqn: 2 ** 32 - 2 });
  hear(publisher, 1_000, nakPacket([2 ** 32 - 1, 0]));
  assert.deepEqual(drain(publisher), [`ncf ${2 ** 32 - 1} 0`, `rdata ${2 ** 32 - 1}`, 'rdata 0']);
});

test('a repair has bytes of its own: those sent before are never changed', () => {
  const publisher = newPublisher({ flushMs: 0 });
  publisher.publish(new Uint8Array(200), AT_US, 0);
  publisher.handleTimeout(0);
  const sent: Uint8Array[] = [];
  const poll = (): void => {
    for (let next = publisher.pollTransmit(); next !== undefined; ) {
      sent.push(next.bytes);
      next = publisher.pollTransmit();
    }
  };
  poll();
  const copies = sent.map((bytes) => bytes.slice());
  for (const nowMs of [1_000, 2_000]) {
    hear(publisher, nowMs, nakPacket([0]));
    poll();
  }
  assert.deepEqual(sent.slice(0, copies.length), copies);
  const repairs = sent.filter((bytes) => readPacket(bytes).kind === 'rdata');
  assert.equal(repairs.length, 2);
  assert.notEqual(repairs[0]?.buffer, repairs[1]?.buffer);
});

test('who waited for the rate, and for how long, is counted', () => {
  const publisher = newPublisher({ rateBytesPerSec: 10_000, windowPackets: 64 });
  for (let n = 0; n < 20; n += 1) publisher.publish(new Uint8Array(200), AT_US, 0);
  assert.deepEqual(publisher.snapshot(), {
    rateBytesPerSec: 10_000,
    unsentPackets: 19,
    unsentBytes: 19 * 260,
    repairsWaiting: 0,
    unarchivedBytes: 0,
  });
  run(publisher, 2_000);
  const { heldByRateMs, heldByPaceMs } = publisher.counters;
  assert.ok(heldByRateMs > 400 && heldByRateMs < 600, `${heldByRateMs} ms`);
  assert.equal(heldByPaceMs, 0);
  assert.equal(publisher.snapshot().unsentPackets, 0);
});

test('what waits too long for its repair is not confirmed', () => {
  const publisher = sentPublisher(100, { rateBytesPerSec: 20_000, windowPackets: 256 }, 100);
  hear(publisher, 20_000, nakPacket(Array.from({ length: 60 }, (_, sqn) => sqn)));
  const [ncf = ''] = drain(publisher);
  assert.ok(ncf.startsWith('ncf 0') && ncf.split(' ').length < 5, ncf);
  assert.ok(publisher.counters.ncfsWithheld > 50);
});

test('confirmations are gathered, and no more of them leave than their budget allows', () => {
  const publisher = sentPublisher(5_000, { windowPackets: 8_192 });
  for (const [index, asker] of ASKERS.entries()) {
    for (let sqn = index * 1_000; sqn < (index + 1) * 1_000; sqn += 1) {
      publisher.handleDatagram(nakPacket([sqn]), asker, 9_000);
    }
  }
  drain(publisher);
  const { ncfsSent } = publisher.counters;
  assert.equal(ncfsSent, 16);
});
