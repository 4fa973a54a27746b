// Whatever is sealed is genuine, and nothing that differs from it by a bit is, be it a damaged
// packet or one whose forger has mended the checksum.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { PacketReader, toRepair } from '#multicast/wire/mod.ts';
import { dataPacket } from '#test/support/session-packets.ts';
import {
  mendChecksum,
  newAuthenticator,
  SEALED_TRANSPORT,
  sealedPackets,
} from '#test/support/sealed-packets.ts';

const authenticator = newAuthenticator();
const reader = new PacketReader();

function verdictOf(packet: Uint8Array): string {
  return reader.read(packet) ?? authenticator.check(packet, reader);
}

test('a data packet of any content is genuine when sealed, and again after each repair', () => {
  const content = fc.uint8Array({ maxLength: 9_000 });
  const sqns = fc.uniqueArray(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(content, sqns, (tsdu, trails) => {
      const packet = dataPacket({ sqn: 9, sequence: 3, tsdu, transport: SEALED_TRANSPORT });
      authenticator.seal(packet);
      assert.equal(verdictOf(packet), 'genuine');
      for (const trail of trails) {
        toRepair(packet, trail);
        assert.equal(verdictOf(packet), 'wrong');
        authenticator.seal(packet);
        assert.equal(verdictOf(packet), 'genuine');
        assert.deepEqual([reader.kind, reader.trail], ['rdata', trail]);
        assert.deepEqual(packet.subarray(reader.payloadStart, reader.payloadEnd), tsdu);
      }
    }),
    { numRuns: 200 },
  );
});

test('no packet is genuine with a bit flipped, with or without a mended checksum', () => {
  const verdicts = new Set<string>();
  for (const packet of sealedPackets()) {
    assert.equal(verdictOf(packet), 'genuine');
    for (let bit = 0; bit < packet.length * 8; bit += 1) {
      const flipped = packet.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      assert.notEqual(verdictOf(flipped), 'genuine', `bit ${bit} of a ${reader.kind}`);
      const isInChecksum = bit >> 4 === 3;
      if (isInChecksum) continue;
      const verdict = verdictOf(mendChecksum(flipped));
      assert.notEqual(verdict, 'genuine', `bit ${bit} of a ${reader.kind}`);
      verdicts.add(verdict);
    }
  }
  for (const verdict of ['wrong', 'missing', 'unknown_key', 'options', 'tsdu_length'])
    assert.ok(verdicts.has(verdict), `${verdict} among ${[...verdicts].join(', ')}`);
});

test('cutting a packet or putting its pieces together anew proves nothing', () => {
  const packets = sealedPackets();
  const genuine = new Set(packets.map((packet) => Buffer.from(packet).toString('hex')));
  const index = fc.nat(packets.length - 1);
  fc.assert(
    fc.property(index, index, fc.nat(200), fc.nat(200), (left, right, leftEnd, rightStart) => {
      const head = packets[left].subarray(0, leftEnd);
      const pieced = Uint8Array.from([...head, ...packets[right].subarray(rightStart)]);
      if (pieced.length < 16) return;
      mendChecksum(pieced);
      if (genuine.has(Buffer.from(pieced).toString('hex'))) return;
      assert.notEqual(verdictOf(pieced), 'genuine');
    }),
    { numRuns: 2_000 },
  );
});
