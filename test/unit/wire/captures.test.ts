// The packets of other PGM implementations, as captured: each must be read as what it is. The
// counts are those that Wireshark gives for the same files.

import assert from 'node:assert/strict';
import test from 'node:test';
import { PacketReader, sqnDistance, type PacketKind } from '#multicast/wire/mod.ts';
import { readCapture } from '#test/support/pcap.ts';
import { readPacket } from '#test/support/packets.ts';

interface Expected {
  readonly kinds: Partial<Record<PacketKind, number>>;
  readonly naksWithList: number;
}

const CAPTURES: Readonly<Record<string, Expected>> = {
  '01-plain.pcap': { kinds: { spm: 12, odata: 10 }, naksWithList: 0 },
  '02-fragment.pcap': { kinds: { spm: 6, odata: 24 }, naksWithList: 0 },
  '03-loss-nak-repair.pcap': {
    kinds: { spm: 20, odata: 201, rdata: 19, nak: 18, ncf: 18 },
    naksWithList: 1,
  },
  '04-loss-of-ncf-and-rdata.pcap': {
    kinds: { spm: 16, odata: 200, rdata: 37, nak: 34, ncf: 34 },
    naksWithList: 8,
  },
  '05-late-join-spmr.pcap': {
    kinds: { spm: 13, odata: 200, rdata: 7, nak: 7, ncf: 7, spmr: 2 },
    naksWithList: 1,
  },
  '06-unrecoverable.pcap': {
    kinds: { spm: 12, odata: 200, rdata: 11, nak: 4, ncf: 4 },
    naksWithList: 2,
  },
  '07-heartbeat.pcap': { kinds: { spm: 16, odata: 1 }, naksWithList: 0 },
  '09-zmq-epgm-small.pcap': { kinds: { spm: 12, odata: 20 }, naksWithList: 0 },
  '10-zmq-epgm-multipart-large.pcap': { kinds: { spm: 12, odata: 20 }, naksWithList: 0 },
  '12-zmq-epgm-batched-with-loss.pcap': {
    kinds: { spm: 11, odata: 358, rdata: 19, nak: 10, ncf: 10 },
    naksWithList: 4,
  },
};

for (const [name, expected] of Object.entries(CAPTURES)) {
  test(`every packet of ${name} is read as what it is`, () => {
    const kinds: Partial<Record<PacketKind, number>> = {};
    let naksWithList = 0;
    let fins = 0;
    for (const { payload } of readCapture(name)) {
      const packet = readPacket(payload);
      kinds[packet.kind] = (kinds[packet.kind] ?? 0) + 1;
      assert.equal(packet.hasChecksum, true);
      if (packet.kind === 'nak' && packet.sqnCount > 1) naksWithList += 1;
      if (packet.isFin) fins += 1;
    }
    assert.deepEqual(kinds, expected.kinds);
    assert.equal(naksWithList, expected.naksWithList);
    assert.equal(fins, 3, 'a source says goodbye three times');
  });
}

test('fragments of another implementation make whole messages of 10,000 bytes', () => {
  const messages = new Map<number, Uint8Array>();
  let fragments = 0;
  for (const { payload } of readCapture('02-fragment.pcap')) {
    const packet = readPacket(payload);
    if (packet.kind !== 'odata') continue;
    assert.equal(packet.hasFragment, true);
    assert.equal(packet.apduBytes, 10_000);
    const message = messages.get(packet.fragmentFirstSqn) ?? new Uint8Array(packet.apduBytes);
    message.set(
      payload.subarray(packet.payloadStart, packet.payloadEnd),
      packet.fragmentStartBytes,
    );
    messages.set(packet.fragmentFirstSqn, message);
    fragments += 1;
  }
  assert.equal(fragments, 24);
  assert.deepEqual([...messages.keys()], [0, 8, 16]);
  for (const message of messages.values()) assert.equal(message.includes(0), false);
});

test('a repair carries the bytes of the packet it repairs', () => {
  const payloads = new Map<number, Buffer>();
  let repairs = 0;
  for (const { payload } of readCapture('12-zmq-epgm-batched-with-loss.pcap')) {
    const packet = readPacket(payload);
    const tsdu = Buffer.from(payload.subarray(packet.payloadStart, packet.payloadEnd));
    if (packet.kind === 'odata') payloads.set(packet.sqn, tsdu);
    if (packet.kind !== 'rdata') continue;
    assert.deepEqual(tsdu, payloads.get(packet.sqn));
    repairs += 1;
  }
  assert.equal(repairs, 19);
});

test('a NAK and its confirmation name the source, the group and the same packets', () => {
  const asked: string[] = [];
  const confirmed: string[] = [];
  for (const { payload } of readCapture('03-loss-nak-repair.pcap')) {
    const packet = readPacket(payload);
    if (packet.kind !== 'nak' && packet.kind !== 'ncf') continue;
    assert.deepEqual(
      [packet.nlaText(), packet.groupNlaText(), packet.dataDport],
      ['10.9.0.1', '239.192.0.1', 7_500],
    );
    const sqns = packet.sqnList.subarray(0, packet.sqnCount).join(' ');
    (packet.kind === 'nak' ? asked : confirmed).push(sqns);
  }
  assert.deepEqual(asked.toSorted(), confirmed.toSorted());
});

test('an empty transmit window has its lead one behind its trail', () => {
  const packet = readPacket(readCapture('01-plain.pcap')[0].payload);
  assert.deepEqual([packet.kind, packet.trail, packet.lead], ['spm', 0, 0xffff_ffff]);
  assert.equal(sqnDistance(packet.lead, packet.trail), -1);
});

// That source numbered its messages from 0, which is no sequence: its first packet has to be
// refused.
test('a source with the session option is read, but for its message 0', () => {
  const kinds: Record<string, number> = {};
  const reader = new PacketReader();
  for (const { payload } of readCapture('13-private-option-js-source.pcap')) {
    const reason = reader.read(payload);
    const kind = reason ?? reader.kind;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    if (kind !== 'odata' && kind !== 'rdata') continue;
    assert.deepEqual([reader.sessionHigh, reader.sessionLow], [0x11223344, 0x55667788]);
    assert.equal(reader.sequence, reader.sqn);
  }
  assert.deepEqual(kinds, { spm: 16, session: 1, odata: 199, rdata: 20, nak: 16, ncf: 16 });
});
