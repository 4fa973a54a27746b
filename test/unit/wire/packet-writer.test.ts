import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CONTROL_PACKET_BYTES_MAX,
  dataHeaderBytes,
  finishData,
  PacketReader,
  toNetworkAddress,
  toRepair,
  writeNak,
  writeSpm,
} from '#multicast/wire/mod.ts';
import {
  packetOf,
  readPacket,
  SESSION,
  SOURCE_NLA,
  TRANSPORT,
  writeData,
} from '#test/support/packets.ts';

const HEADER = { ...TRANSPORT, ...SESSION, sqn: 5, trail: 2 };

test('a packet finished in place is the packet written with a copy', () => {
  const tsdu = Uint8Array.from([1, 2, 3, 4, 5]);
  const written = packetOf((into) => writeData(into, HEADER, tsdu));
  const finished = packetOf((into) => {
    into.set(tsdu, dataHeaderBytes(false));
    return finishData(into, HEADER, tsdu.length);
  });
  assert.deepEqual(finished, written);
});

test('a repair differs from the packet in type, trail and checksum only', () => {
  const packet = packetOf((into) => writeData(into, HEADER, Uint8Array.from([9, 8, 7])));
  const repair = packet.slice();
  toRepair(repair, 0xfffffff0);
  const changedAt = [...packet.keys()].filter((at) => packet[at] !== repair[at]);
  assert.deepEqual(changedAt, [4, 6, 7, 20, 21, 22, 23]);
  const reader = readPacket(repair);
  assert.deepEqual([reader.kind, reader.trail, reader.sqn], ['rdata', 0xfffffff0, 5]);
});

test('a repair can be made again with a later trail', () => {
  const packet = packetOf((into) => writeData(into, HEADER, Uint8Array.from([9, 8, 7])));
  for (const trail of [3, 0, 0xffff, 0x1_0000, 0xffff_ffff, 2]) {
    toRepair(packet, trail);
    assert.equal(readPacket(packet).trail, trail);
  }
});

test('a checksum is right wherever in memory the packet lies', () => {
  const memory = new Uint8Array(2_000);
  for (let start = 0; start < 9; start += 1) {
    const into = memory.subarray(start);
    const length = writeData(into, HEADER, new Uint8Array(1_401 + start).fill(0xfb));
    assert.equal(new PacketReader().read(into.subarray(0, length)), undefined);
    assert.equal(new PacketReader().read(into.slice(0, length)), undefined);
  }
});

test('a checksum that comes out as zero travels as 0xffff', () => {
  const zeroes = { gsiHigh: 0, gsiLow: 0, tsiSport: 0, dataDport: 0 };
  const spm = { ...zeroes, sqn: 0, trail: 0, lead: 0, nla: 0xfffe };
  const packet = packetOf((into) => writeSpm(into, spm));
  assert.deepEqual([packet[6], packet[7]], [0xff, 0xff]);
  assert.equal(readPacket(packet).hasChecksum, true);
});

test('a NAK for 63 packets between IPv6 addresses, with authentication, is the longest', () => {
  const sqns = Uint32Array.from({ length: 63 }, (_, i) => 0xffff_fff0 + i);
  const addresses = { nla: toNetworkAddress('fd00::7'), groupNla: toNetworkAddress('ff15::1') };
  const fields = { ...TRANSPORT, ...addresses, sqns, count: 63 };
  assert.equal(packetOf((into) => writeNak(into, fields)).length, 316);
  const packet = packetOf((into) => writeNak(into, { ...fields, hasAuthentication: true }));
  assert.equal(packet.length, CONTROL_PACKET_BYTES_MAX);
  const reader = readPacket(packet);
  assert.equal(reader.sqnCount, 63);
  assert.deepEqual(reader.sqnList, sqns);
});

test('a name that is too long is cut at a whole character', () => {
  const spm = {
    ...TRANSPORT,
    sqn: 1,
    trail: 0,
    lead: 0,
    nla: SOURCE_NLA,
    publisher: { nakPort: 1, sourceName: 'ä'.repeat(31) + 'x€' },
  };
  const reader = readPacket(packetOf((into) => writeSpm(into, spm)));
  assert.equal(reader.sourceName(), 'ä'.repeat(31) + 'x');
});

test('each option of a source path message can stand alone', () => {
  const bare = { ...TRANSPORT, sqn: 1, trail: 0, lead: 0, nla: SOURCE_NLA };
  assert.equal(packetOf((into) => writeSpm(into, bare)).length, 36);
  const fin = readPacket(packetOf((into) => writeSpm(into, { ...bare, isFin: true })));
  assert.deepEqual([fin.isFin, fin.hasSession, fin.hasPublisher], [true, false, false]);
  const session = readPacket(packetOf((into) => writeSpm(into, { ...bare, session: SESSION })));
  assert.deepEqual([session.isFin, session.hasSession, session.hasPublisher], [false, true, false]);
  const publisher = { nakPort: 0, sourceName: '' };
  const named = readPacket(packetOf((into) => writeSpm(into, { ...bare, publisher })));
  assert.deepEqual([named.hasPublisher, named.sourceName()], [true, '']);
});

test('memory that is too small is a broken invariant, not a cut packet', () => {
  assert.throws(() => writeData(new Uint8Array(58), HEADER, new Uint8Array(11)));
  const nak = { ...TRANSPORT, nla: 0, groupNla: 0, sqns: [1], count: 1 };
  assert.throws(() => writeNak(new Uint8Array(CONTROL_PACKET_BYTES_MAX - 1), nak));
  assert.throws(() => finishData(new Uint8Array(58), HEADER, 11), /fits the memory/);
});
