// Each refused packet is a sound one with one thing changed and its checksum mended, so that what
// is refused is that one thing.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  PacketReader,
  toNetworkAddress,
  writeAck,
  writeNak,
  writeNcf,
  writeSpm,
  type MalformedReason,
} from '#multicast/wire/mod.ts';
import {
  DOCUMENTED_PACKETS,
  GROUP_NLA,
  packetOf,
  readPacket,
  SESSION,
  SOURCE_NLA,
  TRANSPORT,
  writeData,
} from '#test/support/packets.ts';

const FRAGMENT = { firstSqn: 4, startBytes: 100, apduBytes: 110 };

function dataPacket(tsduBytes = 10): Uint8Array {
  return packetOf((into) =>
    writeData(into, { ...TRANSPORT, ...SESSION, sqn: 5, trail: 2 }, new Uint8Array(tsduBytes)),
  );
}

function fragmentPacket(fragment = FRAGMENT): Uint8Array {
  const header = { ...TRANSPORT, ...SESSION, sqn: 5, trail: 2, fragment };
  return packetOf((into) => writeData(into, header, new Uint8Array(10)));
}

function nakPacket(count = 3): Uint8Array {
  const fields = { ...TRANSPORT, nla: SOURCE_NLA, groupNla: GROUP_NLA, sqns: [3, 4, 9], count };
  return packetOf((into) => writeNak(into, fields));
}

// A checksum by the definition, one byte after the other.
function withChecksum(packet: Uint8Array): Uint8Array {
  packet[6] = 0;
  packet[7] = 0;
  let sum = 0;
  for (const [i, byte] of packet.entries()) sum += i % 2 === 0 ? byte * 256 : byte;
  while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  const checksum = sum === 0xffff ? 0xffff : 0xffff - sum;
  packet[6] = checksum >> 8;
  packet[7] = checksum & 0xff;
  return packet;
}

function changed(packet: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  packet.set(bytes, at);
  return withChecksum(packet);
}

function refusal(packet: Uint8Array): MalformedReason | undefined {
  return new PacketReader().read(packet);
}

test('an acknowledgement gives its session, through where, and what is lost of that', () => {
  const reader = readPacket(DOCUMENTED_PACKETS.ack());
  assert.deepEqual([reader.kind, reader.sqn, reader.sequence], ['ack', 5, 18]);
  assert.deepEqual(reader.archived, { exactFrom: 1, lost: [{ first: 3, last: 4 }] });
});

test('a data packet gives its numbers, its session and its payload', () => {
  const packet = readPacket(dataPacket());
  assert.equal(packet.kind, 'odata');
  assert.deepEqual([packet.sqn, packet.trail, packet.sequence], [5, 2, 17]);
  assert.deepEqual([packet.sessionHigh, packet.sessionLow], [0x01234567, 0x89abcdef]);
  assert.deepEqual([packet.gsiHigh, packet.gsiLow], [0x0a0b, 0x0c0d0e0f]);
  assert.deepEqual([packet.payloadStart, packet.payloadEnd], [48, 58]);
  assert.equal(packet.hasFragment, false);
});

test('a data packet may have an empty payload', () => {
  const packet = readPacket(dataPacket(0));
  assert.equal(packet.payloadEnd - packet.payloadStart, 0);
});

test('a fragment says which piece of what it is', () => {
  const packet = readPacket(fragmentPacket());
  assert.equal(packet.hasFragment, true);
  assert.deepEqual(
    [packet.fragmentFirstSqn, packet.fragmentStartBytes, packet.apduBytes],
    [4, 100, 110],
  );
  assert.equal(packet.payloadStart, 64);
});

test('the ports of a packet that travels upstream are read the other way round', () => {
  const nak = readPacket(nakPacket());
  assert.deepEqual([nak.sport, nak.dport], [0x2222, 0x1111]);
  assert.deepEqual([nak.tsiSport, nak.dataDport], [0x1111, 0x2222]);
  const spm = readPacket(DOCUMENTED_PACKETS.spm());
  assert.deepEqual([spm.sport, spm.dport], [0x1111, 0x2222]);
  assert.deepEqual([spm.tsiSport, spm.dataDport], [0x1111, 0x2222]);
});

test('a NAK lists every packet it asks for, the first included', () => {
  const packet = readPacket(nakPacket());
  assert.deepEqual([...packet.sqnList.subarray(0, packet.sqnCount)], [3, 4, 9]);
  assert.equal(packet.nlaText(), '192.168.1.7');
  assert.equal(packet.groupNlaText(), '239.255.0.1');
});

test('a source path message tells the window, the path, the name and the next sequence', () => {
  const packet = readPacket(DOCUMENTED_PACKETS.spm());
  assert.deepEqual([packet.kind, packet.sqn, packet.trail, packet.lead], ['spm', 9, 2, 5]);
  assert.equal(packet.nlaText(), '192.168.1.7');
  assert.deepEqual([packet.hasPublisher, packet.nakPort], [true, 40_001]);
  assert.equal(packet.sourceName(), 'gateway-7');
  assert.deepEqual([packet.hasSession, packet.sequence, packet.isFin], [true, 19, false]);
});

test('nothing of the packet before shows through an option that is absent', () => {
  const reader = new PacketReader();
  assert.equal(reader.read(fragmentPacket()), undefined);
  assert.equal(reader.read(DOCUMENTED_PACKETS.spm()), undefined);
  assert.equal(reader.hasFragment, false);
  assert.equal(reader.read(nakPacket()), undefined);
  assert.deepEqual([reader.hasPublisher, reader.hasSession], [false, false]);
  assert.equal(reader.read(nakPacket(1)), undefined);
  assert.equal(reader.sqnCount, 1);
});

test('IPv6 addresses have family 2 and 16 bytes, and everything behind them comes later', () => {
  const nla = toNetworkAddress('fd00::7');
  const spm = packetOf((into) =>
    writeSpm(into, { ...TRANSPORT, sqn: 1, trail: 2, lead: 3, nla, isFin: true }),
  );
  assert.deepEqual([...spm.subarray(28, 36)], [0, 2, 0, 0, 0xfd, 0, 0, 0]);
  assert.deepEqual([...spm.subarray(44, 52)], [0, 0, 0, 7, 0, 4, 0, 8]);
  const packet = readPacket(spm);
  assert.deepEqual([packet.isNlaIpv4, packet.nlaText(), packet.lead], [false, 'fd00::7', 3]);
  assert.equal(packet.isFin, true);
});

test('the two addresses of a NAK may be of different families', () => {
  const [ipv4, ipv6] = ['192.168.1.7', 'ff15::1:7'];
  for (const [nla, groupNla] of [
    [ipv4, ipv6],
    [ipv6, ipv4],
    [ipv6, ipv6],
  ]) {
    const addresses = { nla: toNetworkAddress(nla), groupNla: toNetworkAddress(groupNla) };
    const fields = { ...TRANSPORT, ...addresses, sqns: [3, 4, 9], count: 3 };
    const packet = readPacket(packetOf((into) => writeNak(into, fields)));
    assert.deepEqual([packet.nlaText(), packet.groupNlaText()], [nla, groupNla]);
    assert.deepEqual([...packet.sqnList.subarray(0, packet.sqnCount)], [3, 4, 9]);
  }
});

test('an IPv6 address that is cut short is too short', () => {
  const nla = toNetworkAddress('fd00::7');
  const spm = packetOf((into) => writeSpm(into, { ...TRANSPORT, sqn: 1, trail: 2, lead: 3, nla }));
  assert.equal(new PacketReader().read(withChecksum(spm.slice(0, 47))), 'too_short');
});

test('types that are not understood, and parity packets, are packets of kind other', () => {
  for (const type of [0x01, 0x02, 0x03, 0x06, 0x07, 0x09, 0x0b, 0x0e, 0x0f]) {
    assert.equal(readPacket(changed(dataPacket(), 4, type)).kind, 'other');
  }
  assert.equal(readPacket(changed(dataPacket(), 5, 0x81)).kind, 'other');
});

test('an option that is not known is skipped unless it asks for the packet to be discarded', () => {
  for (const [opx, reason] of [
    [0, undefined],
    [1, undefined],
    [2, 'option_discard'],
  ] as const) {
    const packet = changed(dataPacket(), 28, 0x80 | 0x4f, 20, opx);
    assert.equal(refusal(packet), reason);
  }
});

test('an option of the standard that is of no use to us is skipped, whatever it asks', () => {
  for (const type of [0x03, 0x08, 0x0d, 0x12, 0x13]) {
    assert.equal(refusal(changed(dataPacket(), 28, 0x80 | type, 20, 2)), undefined);
  }
  assert.equal(refusal(changed(dataPacket(), 28, 0x80 | 0x14, 20, 2)), 'option_discard');
});

test('a control packet may do without a checksum, a data packet may not', () => {
  const spm = DOCUMENTED_PACKETS.spm();
  spm.fill(0, 6, 8);
  assert.equal(readPacket(spm).hasChecksum, false);
  const odata = dataPacket();
  odata.fill(0, 6, 8);
  assert.equal(refusal(odata), 'checksum_missing');
});

test('every single flipped bit of a data packet is noticed', () => {
  const packet = fragmentPacket();
  for (let bit = 0; bit < packet.length * 8; bit += 1) {
    packet[bit >> 3] ^= 1 << (bit & 7);
    assert.notEqual(refusal(packet), undefined, `bit ${bit}`);
    packet[bit >> 3] ^= 1 << (bit & 7);
  }
});

test('every packet that is cut short is refused', () => {
  for (const make of [...Object.values(DOCUMENTED_PACKETS), fragmentPacket, nakPacket]) {
    const packet = make();
    for (let length = 0; length < packet.length; length += 1) {
      const cut = packet.slice(0, length);
      if (length >= 8) withChecksum(cut);
      assert.notEqual(refusal(cut), undefined, `${length} of ${packet.length} bytes`);
    }
  }
});

const REFUSED: readonly [what: string, reason: MalformedReason, packet: () => Uint8Array][] = [
  ['no bytes at all', 'too_short', () => new Uint8Array(0)],
  ['fifteen bytes', 'too_short', () => new Uint8Array(15)],
  ['version 1', 'version', () => changed(dataPacket(), 4, 0x44)],
  ['a reserved bit of the type', 'version', () => changed(dataPacket(), 4, 0x14)],
  ['a wrong checksum', 'checksum', () => dataPacket().with(7, dataPacket()[7] ^ 1)],
  ['an address of an unknown family', 'address', () => changed(nakPacket(), 21, 3)],
  ['a group address of an unknown family', 'address', () => changed(nakPacket(), 29, 0)],
  ['bytes behind the payload', 'tsdu_length', () => withChecksum(longer(dataPacket()))],
  ['bytes behind a NAK', 'tsdu_length', () => withChecksum(longer(nakPacket()))],
  ['a payload in a NAK', 'tsdu_length', () => changed(longer(nakPacket()), 14, 0, 1)],
  ['a stated length of 65,535', 'tsdu_length', () => changed(dataPacket(), 14, 0xff, 0xff)],
  [
    'options that start with another than the length',
    'options',
    () => changed(dataPacket(), 24, 1),
  ],
  ['a length option of five bytes', 'options', () => changed(dataPacket(), 25, 5)],
  ['options longer than the packet', 'options', () => changed(dataPacket(), 26, 0xff, 0xff)],
  ['options of no length', 'options', () => changed(dataPacket(), 26, 0, 0)],
  ['options that end within an option', 'options', () => changed(dataPacket(), 26, 0, 23)],
  ['options that go on behind the last', 'options', () => changed(dataPacket(), 26, 0, 28)],
  ['an option of no length', 'options', () => changed(dataPacket(), 29, 0)],
  ['an option of three bytes', 'options', () => changed(dataPacket(), 29, 3)],
  ['an option that reaches beyond the chain', 'options', () => changed(dataPacket(), 29, 24)],
  ['no option marked as the last', 'options', () => changed(dataPacket(), 28, 0x40)],
  ['a session option of sixteen bytes', 'options', () => changed(dataPacket(), 29, 16)],
  ['the same option twice', 'options', () => changed(fragmentPacket(), 28, 0x40, 20)],
  ['a NAK list of odd length', 'options', () => changed(nakPacket(), 41, 11)],
  ['a session with 64 bits', 'session', () => changed(dataPacket(), 32, 0x81)],
  ['session zero', 'session', () => changed(dataPacket(), 32, 0, 0, 0, 0, 0, 0, 0, 0)],
  ['sequence zero', 'session', () => changed(dataPacket(), 47, 0)],
  ['sequence 2^53', 'session', () => changed(dataPacket(), 40, 0, 0x20, 0, 0, 0, 0, 0, 0)],
  ['a fragment beyond its message', 'fragment', () => changed(fragmentPacket(), 43, 109)],
  ['a fragment start beyond its message', 'fragment', () => changed(fragmentPacket(), 36, 0xff)],
  ['a first fragment that does not start at 0', 'fragment', () => changed(fragmentPacket(), 35, 5)],
  ['a later fragment that starts at 0', 'fragment', () => changed(fragmentPacket(), 39, 0)],
  ['a name of 65 bytes', 'publisher', () => longName()],
  ['an acknowledgement of no session', 'archived', () => changed(ackPacket(), 28, 0x4f)],
  ['an archived option of 27 bytes', 'archived', () => changed(ackPacket(), 49, 27)],
  ['archived options of 16 bytes', 'archived', () => withoutRange(16)],
  ['exact from sequence zero', 'archived', () => changed(ackPacket(), 59, 0)],
  ['exact from beyond what is archived', 'archived', () => changed(withoutRange(12), 59, 20)],
  ['a loss before what is exact', 'archived', () => changed(ackPacket(), 59, 4)],
  ['a loss that ends before it begins', 'archived', () => changed(ackPacket(), 75, 2)],
  ['a loss beyond what is archived', 'archived', () => changed(ackPacket(), 75, 19)],
  ['losses out of order', 'archived', () => ackOf([5, 6], [3, 3])],
  ['losses that overlap', 'archived', () => ackOf([3, 5], [5, 6])],
];

test('an acknowledgement of another implementation says nothing of an archive', () => {
  const { kind, archived } = readPacket(
    withChecksum(DOCUMENTED_PACKETS.ack().slice(0, 24).with(5, 0)),
  );
  assert.deepEqual([kind, archived], ['ack', undefined]);
});

function longer(packet: Uint8Array): Uint8Array {
  const grown = new Uint8Array(packet.length + 1);
  grown.set(packet);
  return grown;
}

/** Its second option lies at 48, exact from at 52, the loss 3–4 at 60. */
function ackPacket(): Uint8Array {
  return DOCUMENTED_PACKETS.ack();
}

/** The acknowledgement with an archived option of so many bytes. */
function withoutRange(optionBytes: number): Uint8Array {
  const packet = ackPacket().slice(0, 48 + optionBytes);
  return changed(changed(packet, 49, optionBytes), 26, 0, 24 + optionBytes);
}

function ackOf(...ranges: readonly (readonly [first: number, last: number])[]): Uint8Array {
  const lost = ranges.map(([first, last]) => ({ first, last }));
  const session = { ...SESSION, sequence: 18 };
  const fields = { ...TRANSPORT, sqn: 5, session, archived: { exactFrom: 1, lost } };
  return packetOf((into) => writeAck(into, fields));
}

function longName(): Uint8Array {
  const spm = packetOf((into) =>
    writeSpm(into, {
      ...TRANSPORT,
      sqn: 1,
      trail: 2,
      lead: 3,
      nla: SOURCE_NLA,
      publisher: { nakPort: 0, sourceName: 'n'.repeat(64) },
    }),
  );
  const grown = longer(spm);
  grown[39] += 1;
  return changed(grown, 41, grown[41] + 1);
}

for (const [what, reason, packet] of REFUSED) {
  test(`refused as ${reason}: ${what}`, () => {
    assert.equal(refusal(packet()), reason);
  });
}

test('a chain of more than sixteen options is refused, one of sixteen is not', () => {
  for (const [count, reason] of [
    [16, undefined],
    [17, 'options'],
  ] as const) {
    const packet = new Uint8Array(16 + 20 + 4 + 4 * count);
    packet.set(nakPacket(1));
    packet[5] = 1;
    packet.set([0, 4, 0, 4 + 4 * count], 36);
    for (let i = 0; i < count; i += 1) packet.set([i === count - 1 ? 0xd0 : 0x50, 4], 40 + 4 * i);
    assert.equal(refusal(withChecksum(packet)), reason);
  }
});

test('a sequence of 2^53 − 1 is read exactly', () => {
  const header = { ...TRANSPORT, ...SESSION, sqn: 5, trail: 2, sequence: 2 ** 53 - 1 };
  const packet = packetOf((into) => writeData(into, header, new Uint8Array(0)));
  assert.equal(readPacket(packet).sequence, Number.MAX_SAFE_INTEGER);
});

test('an NCF is the NAK in the other direction', () => {
  const fields = { ...TRANSPORT, nla: SOURCE_NLA, groupNla: GROUP_NLA, sqns: [3], count: 1 };
  const ncf = readPacket(packetOf((into) => writeNcf(into, fields)));
  assert.deepEqual([ncf.kind, ncf.sport, ncf.tsiSport, ncf.sqn], ['ncf', 0x1111, 0x1111, 3]);
});
