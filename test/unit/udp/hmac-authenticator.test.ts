import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import test from 'node:test';
import { DATAGRAM_BYTES_MAX } from '#base/mod.ts';
import { authenticatorOf } from '#multicast/udp/mod.ts';
import { endSeal, PacketReader } from '#multicast/wire/mod.ts';
import { readPacket } from '#test/support/packets.ts';
import { CHANNEL } from '#test/support/session-packets.ts';
import {
  keySource,
  newAuthenticator,
  NEW_KEY,
  OLD_KEY,
  SEALED_CHANNEL,
  sealedPackets,
  unsealedPackets,
} from '#test/support/sealed-packets.ts';

const SECRET = Buffer.from(OLD_KEY.slice(2), 'hex');

function verdictsOf(packets: readonly Uint8Array[], keys: string): Set<string> {
  const authenticator = newAuthenticator(keys);
  const reader = new PacketReader();
  return new Set(
    packets.map((packet) => reader.read(packet) ?? authenticator.check(packet, reader)),
  );
}

test('a tag is the HMAC of the packet without tag and checksum, under a key of the channel', () => {
  const channelKey = createHmac('sha256', SECRET).update('backcast 239.255.0.1 7500 8738').digest();
  for (const packet of sealedPackets()) {
    const { tagAt, keyId, hasChecksum } = readPacket(packet);
    const tag = packet.slice(tagAt, tagAt + 16);
    const covered = packet.slice();
    covered.fill(0, 6, 8);
    covered.fill(0, tagAt, tagAt + 16);
    const expected = createHmac('sha256', channelKey).update(covered).digest().subarray(0, 16);
    assert.deepEqual(Buffer.from(tag), expected);
    assert.deepEqual([keyId, hasChecksum], [1, true]);
  }
});

test('sealing changes nothing but key id, tag and checksum', () => {
  const before = unsealedPackets();
  for (const [index, packet] of sealedPackets().entries()) {
    const { tagAt } = readPacket(packet);
    for (const bytes of [before[index], packet]) {
      bytes.fill(0, 6, 8);
      bytes.fill(0, tagAt - 4, tagAt + 16);
    }
    assert.deepEqual(packet, before[index]);
  }
});

test('another key, no tag and a key that is not known are told apart', () => {
  const otherSecret = OLD_KEY.replace('0123', '3210');
  assert.deepEqual(verdictsOf(sealedPackets(), OLD_KEY), new Set(['genuine']));
  assert.deepEqual(verdictsOf(sealedPackets(), otherSecret), new Set(['wrong']));
  assert.deepEqual(verdictsOf(sealedPackets(), NEW_KEY), new Set(['unknown_key']));
  const bare = unsealedPackets();
  assert.deepEqual(verdictsOf(bare, OLD_KEY), new Set(['unknown_key']));
});

test('a packet without the option is missing its tag', () => {
  const reader = readPacket(sealedPackets()[0]);
  reader.hasAuthentication = false;
  assert.equal(newAuthenticator().check(sealedPackets()[0], reader), 'missing');
});

test('the largest datagram that IPv6 carries is judged like any other', () => {
  const [packet] = sealedPackets();
  const { tagAt, payloadStart } = readPacket(packet);
  const largest = new Uint8Array(DATAGRAM_BYTES_MAX);
  largest.set(packet.subarray(0, payloadStart));
  largest.fill(0, tagAt, tagAt + 16);
  new DataView(largest.buffer).setUint16(14, largest.length - payloadStart);
  new DataView(largest.buffer).setUint16(6, 0);
  endSeal(largest);
  assert.deepEqual(verdictsOf([largest], OLD_KEY), new Set(['wrong']));
});

test('the first key seals and both are accepted', () => {
  const both = `${NEW_KEY}\n${OLD_KEY}`;
  const sealed = sealedPackets(newAuthenticator(both));
  assert.equal(readPacket(sealed[0]).keyId, 2);
  assert.deepEqual(verdictsOf(sealed, `${OLD_KEY}\n${NEW_KEY}`), new Set(['genuine']));
  assert.deepEqual(verdictsOf(sealedPackets(), both), new Set(['genuine']));
});

test('keys that change are followed at once, in both directions', () => {
  const source = keySource(OLD_KEY);
  const authenticator = newAuthenticator(source);
  const [old] = sealedPackets(authenticator);
  source.keys = keySource(NEW_KEY).keys;
  const [fresh] = sealedPackets(authenticator);
  assert.equal(authenticator.check(old, readPacket(old)), 'unknown_key');
  assert.equal(authenticator.check(fresh, readPacket(fresh)), 'genuine');
});

test('a packet of one channel proves nothing on another one that has the same keys', () => {
  const [packet] = sealedPackets();
  for (const other of [{ group: '239.255.0.2' }, { port: 7_501 }]) {
    const elsewhere = newAuthenticator(OLD_KEY, { ...SEALED_CHANNEL, ...other });
    assert.equal(elsewhere.check(packet, readPacket(packet)), 'wrong');
  }
});

test('a channel without authentication needs no keys, one with it does', () => {
  assert.equal(authenticatorOf(CHANNEL, keySource(OLD_KEY)), undefined);
  assert.equal(authenticatorOf({ ...CHANNEL, authentication: 'off' }, undefined), undefined);
  assert.throws(() => authenticatorOf(SEALED_CHANNEL, undefined), {
    code: 'BACKCAST_KEYS_MISSING',
    message: /239\.255\.0\.1:7500 requires authentication.*authentication\.keysFile/,
  });
});

test('authentication goes with no framing of programs that cannot sign', () => {
  for (const framing of ['raw', 'zmq'] as const)
    assert.throws(() => authenticatorOf({ ...SEALED_CHANNEL, framing }, keySource(OLD_KEY)), {
      code: 'BACKCAST_CONFIG_INVALID',
      message: new RegExp(`framing ${framing}`),
    });
});
