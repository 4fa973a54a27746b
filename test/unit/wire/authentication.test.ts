import assert from 'node:assert/strict';
import test from 'node:test';
import { beginSeal, endSeal, PacketReader, TAG_BYTES } from '#multicast/wire/mod.ts';
import { DOCUMENTED_PACKETS, readPacket } from '#test/support/packets.ts';
import { mendChecksum, sealedPackets, unsealedPackets } from '#test/support/sealed-packets.ts';

/** A packet whose chain of options is given in hex behind OPT_LENGTH; with a NAK's body. */
function nakWithOptions(options: string): Uint8Array {
  const chain = Buffer.from(options.replaceAll(' ', ''), 'hex');
  const body = DOCUMENTED_PACKETS.nak().subarray(0, 36);
  const length = [0, 4, 0, 4 + chain.length];
  return mendChecksum(Uint8Array.from([...body, ...length, ...chain]));
}

const TAG = 'aa'.repeat(16);
const LIST = '02 08 00 00 00000004';

test('the option lies first behind OPT_LENGTH in every kind of packet', () => {
  const places = unsealedPackets().map((packet) => {
    const { kind, tagAt } = readPacket(packet);
    assert.equal(beginSeal(packet, 0xdeadbeef), tagAt);
    packet.fill(0x77, tagAt, tagAt + TAG_BYTES);
    endSeal(packet);
    const reader = readPacket(packet);
    assert.deepEqual([reader.hasAuthentication, reader.keyId], [true, 0xdeadbeef]);
    return `${kind} ${tagAt}`;
  });
  const expected = [
    'odata 36',
    'rdata 36',
    'spm 48',
    'nak 48',
    'spm 60',
    'nak 72',
    'ncf 48',
    'spmr 28',
    'ack 36',
  ];
  assert.deepEqual([...new Set(places)], expected);
});

test('a packet that was written without room for it cannot be sealed', () => {
  for (const make of Object.values(DOCUMENTED_PACKETS))
    assert.throws(() => beginSeal(make(), 1), /room/);
});

test('the option is read wherever it stands in the chain', () => {
  for (const [options, tagAt] of [
    [`41 18 00 00 00000007 ${TAG} 82${LIST.slice(2)}`, 48],
    [`${LIST} c1 18 00 00 00000007 ${TAG}`, 56],
  ] as const) {
    const reader = readPacket(nakWithOptions(options));
    assert.deepEqual([reader.hasAuthentication, reader.keyId, reader.tagAt], [true, 7, tagAt]);
    assert.deepEqual([...reader.sqnList.subarray(0, reader.sqnCount)], [3, 4]);
  }
});

test('an option of another length, or two of them, are a broken chain', () => {
  const reader = new PacketReader();
  for (const options of [
    `c1 17 00 00 00000007 ${TAG.slice(2)}`,
    `c1 1c 00 00 00000007 ${TAG} 00000000`,
    'c1 04 00 00',
    `41 18 00 00 00000007 ${TAG} c1 18 00 00 00000007 ${TAG}`,
  ])
    assert.equal(reader.read(nakWithOptions(options)), 'options');
});

test('a packet without the option has none, whatever was read before', () => {
  const reader = new PacketReader();
  reader.read(sealedPackets()[0]);
  reader.read(DOCUMENTED_PACKETS.odata());
  assert.equal(reader.hasAuthentication, false);
});
