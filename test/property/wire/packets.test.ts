// What is written is what is read; and any bytes give a packet or a reason. The second is tried on
// random bytes and on sound packets with a few bytes changed, mostly with the checksum mended,
// since the checksum alone would refuse nearly all of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { randomBelow, seededRandom, type Random } from '#base/mod.ts';
import {
  ipv4FromWord,
  ipv6FromBytes,
  type NetworkAddress,
  PacketReader,
  toNetworkAddress,
  toRepair,
  writeAck,
  writeNak,
  writeNcf,
  writeSpm,
} from '#multicast/wire/mod.ts';
import {
  DOCUMENTED_PACKETS,
  packetOf,
  readPacket,
  TRANSPORT,
  writeData,
} from '#test/support/packets.ts';

const CASES_PER_RUN = 250_000;

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const transport = fc.record({ gsiHigh: u16, gsiLow: u32, tsiSport: u16, dataDport: u16 });
const session = fc.record({
  sessionHigh: fc.integer({ min: 0, max: 0x7fff_ffff }),
  sessionLow: fc.integer({ min: 1, max: 0xffff_ffff }),
  sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
});

function holds(reader: PacketReader, fields: object): void {
  for (const [name, value] of Object.entries(fields)) {
    assert.deepEqual(reader[name as keyof PacketReader], value, name);
  }
}

test('a data packet reads as it was written, and so does its repair', () => {
  const header = fc.record({ sqn: u32, trail: u32 });
  const tsdu = fc.uint8Array({ maxLength: 1_424 });
  fc.assert(
    fc.property(
      transport,
      session,
      header,
      tsdu,
      u32,
      (transport, session, header, tsdu, trail) => {
        const fields = { ...transport, ...session, ...header };
        const packet = packetOf((into) => writeData(into, fields, tsdu));
        const reader = readPacket(packet);
        holds(reader, { ...fields, kind: 'odata', hasSession: true, hasFragment: false });
        assert.deepEqual(packet.slice(reader.payloadStart, reader.payloadEnd), tsdu);
        toRepair(packet, trail);
        assert.equal(reader.read(packet), undefined);
        holds(reader, { ...fields, kind: 'rdata', trail });
      },
    ),
  );
});

test('an acknowledgement reads as it was written', () => {
  const steps = fc.array(fc.integer({ min: 1, max: 2 ** 48 }), { minLength: 2, maxLength: 32 });
  fc.assert(
    fc.property(transport, session, u32, steps, (transport, session, sqn, steps) => {
      const edges = steps.map((_, index) => steps.slice(0, index + 1).reduce((a, b) => a + b));
      const [exactFrom, ...rest] = edges;
      const count = Math.floor((rest.length - 1) / 2);
      const lost = Array.from({ length: Math.max(0, count) }, (_, index) => {
        return { first: rest[2 * index], last: rest[2 * index + 1] };
      });
      const sequence = rest[rest.length - 1];
      const archived = { exactFrom, lost };
      const fields = { ...transport, sqn, session: { ...session, sequence }, archived };
      const reader = readPacket(packetOf((into) => writeAck(into, fields)));
      holds(reader, { ...transport, ...session, kind: 'ack', sqn, sequence, archived });
    }),
  );
});

test('a fragment reads as it was written', () => {
  const pieces = fc.tuple(u32, fc.integer({ min: 1, max: 2 ** 31 }), fc.uint8Array(), u32);
  fc.assert(
    fc.property(transport, session, pieces, (transport, session, [sqn, startBytes, tsdu, rest]) => {
      const firstSqn = (sqn - 1) >>> 0;
      const apduBytes = startBytes + tsdu.length + (rest % 1_000);
      const fragment = { firstSqn, startBytes, apduBytes };
      const fields = { ...transport, ...session, sqn, trail: 0 };
      const packet = packetOf((into) => writeData(into, { ...fields, fragment }, tsdu));
      const reader = readPacket(packet);
      holds(reader, { ...fields, hasFragment: true, apduBytes });
      assert.deepEqual(
        [reader.fragmentFirstSqn, reader.fragmentStartBytes],
        [firstSqn, startBytes],
      );
    }),
  );
});

test('a NAK and an NCF read as they were written', () => {
  const list = fc.uint8Array({ minLength: 4, maxLength: 63 * 4 });
  fc.assert(
    fc.property(transport, u32, u32, list, (transport, nla, groupNla, bytes) => {
      const sqns = new Uint32Array(bytes.slice(0, bytes.length & ~3).buffer);
      const fields = { ...transport, nla, groupNla, sqns, count: sqns.length };
      for (const write of [writeNak, writeNcf]) {
        const reader = readPacket(packetOf((into) => write(into, fields)));
        holds(reader, { ...transport, nla, groupNla, sqn: sqns[0] });
        assert.deepEqual(reader.sqnList.slice(0, reader.sqnCount), sqns);
      }
    }),
  );
});

function textOf(nla: NetworkAddress): string {
  return typeof nla === 'number' ? ipv4FromWord(nla) : ipv6FromBytes(nla, 0);
}

test('an IPv6 address reads as it was written, beside an IPv4 one or another of its kind', () => {
  const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const nlas = fc.oneof(ipv6, u32);
  fc.assert(
    fc.property(transport, ipv6, nlas, u32, (transport, nla, groupNla, sqn) => {
      const fields = { ...transport, nla, groupNla, sqns: [sqn, sqn], count: 2 };
      const nak = readPacket(packetOf((into) => writeNak(into, fields)));
      assert.deepEqual([nak.nlaText(), nak.groupNlaText()], [textOf(nla), textOf(groupNla)]);
      assert.deepEqual([...nak.sqnList.subarray(0, nak.sqnCount)], [sqn, sqn]);
      const window = { sqn, trail: 1, lead: 2 };
      const spm = readPacket(packetOf((into) => writeSpm(into, { ...transport, ...window, nla })));
      assert.deepEqual([spm.nlaText(), spm.lead], [textOf(nla), 2]);
      assert.deepEqual(toNetworkAddress(textOf(nla)), nla);
    }),
  );
});

test('a source path message reads as it was written', () => {
  const window = fc.record({ sqn: u32, trail: u32, lead: u32, nla: u32 });
  const name = fc.string({ unit: 'grapheme', maxLength: 16 });
  const options = fc.record({ isFin: fc.boolean(), nakPort: u16, sourceName: name });
  fc.assert(
    fc.property(transport, session, window, options, (transport, session, window, options) => {
      const { isFin, nakPort, sourceName } = options;
      fc.pre(Buffer.byteLength(sourceName) <= 64);
      const fields = { ...transport, ...window, isFin };
      const publisher = { nakPort, sourceName };
      const packet = packetOf((into) => writeSpm(into, { ...fields, session, publisher }));
      const reader = readPacket(packet);
      holds(reader, { ...fields, ...session, kind: 'spm', hasSession: true, nakPort });
      assert.equal(reader.sourceName(), sourceName);
    }),
  );
});

function randomBytes(random: Random): Uint8Array {
  return Uint8Array.from({ length: randomBelow(random, 90) }, () => randomBelow(random, 256));
}

function mendChecksum(packet: Uint8Array): void {
  if (packet.length < 16) return;
  packet.fill(0, 6, 8);
  let sum = 0;
  for (let i = 0; i < packet.length; i += 1) sum += i % 2 === 0 ? packet[i] * 256 : packet[i];
  const checksum = 0xffff - (sum % 0xffff);
  packet[6] = checksum >> 8;
  packet[7] = checksum & 0xff;
}

function damage(random: Random, sound: Uint8Array): Uint8Array {
  const packet = sound.slice(0, sound.length - Math.max(0, randomBelow(random, 12) - 9));
  const changes = 1 + randomBelow(random, 4);
  for (let i = 0; i < changes; i += 1) {
    const at = randomBelow(random, packet.length);
    const isBitFlip = random() < 0.5;
    packet[at] = isBitFlip ? packet[at] ^ (1 << randomBelow(random, 8)) : randomBelow(random, 256);
  }
  if (random() < 0.9) mendChecksum(packet);
  return packet;
}

// Bytes beyond the packet would be read as undefined, and numbers made of that would not be
// integers.
function isWithin(reader: PacketReader, packet: Uint8Array): boolean {
  const sequence = reader.hasSession ? reader.sequence : 0;
  const numbers = [reader.sqn, reader.trail, reader.lead, reader.nla, sequence];
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) return false;
  if (reader.kind === 'other') return true;
  const { payloadStart, payloadEnd } = reader;
  return payloadStart >= 16 && payloadStart <= payloadEnd && payloadEnd === packet.length;
}

test('any bytes give a packet or a reason, and a packet lies within its bytes', () => {
  const seed = Date.now() >>> 0;
  const random = seededRandom(seed);
  const reader = new PacketReader();
  const fragment = { firstSqn: 4, startBytes: 100, apduBytes: 110 };
  const ipv6 = { nla: toNetworkAddress('fd00::7'), groupNla: toNetworkAddress('ff15::1') };
  const header = { ...TRANSPORT, sessionHigh: 1, sessionLow: 2, sequence: 3, sqn: 5, trail: 2 };
  const sound = [
    ...Object.values(DOCUMENTED_PACKETS).map((make) => make()),
    packetOf((into) => writeData(into, { ...header, fragment }, new Uint8Array(10))),
    packetOf((into) => writeNak(into, { ...header, ...ipv6, sqns: [3, 4], count: 2 })),
    packetOf((into) => writeSpm(into, { ...header, ...ipv6, lead: 9 })),
  ];
  const outcomes = new Set<string>();
  for (let i = 0; i < CASES_PER_RUN; i += 1) {
    const isRandom = i % 10 === 0;
    const packet = isRandom ? randomBytes(random) : damage(random, sound[i % sound.length]);
    const outcome = reader.read(packet);
    outcomes.add(outcome ?? reader.kind);
    if (outcome !== undefined || isWithin(reader, packet)) continue;
    assert.fail(`seed ${seed}: ${Buffer.from(packet).toString('hex')}`);
  }
  assert.ok(outcomes.size >= 16, `seed ${seed}: only ${[...outcomes].join(', ')}`);
});
