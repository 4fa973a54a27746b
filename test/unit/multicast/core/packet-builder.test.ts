import assert from 'node:assert/strict';
import test from 'node:test';
import { isSessionId } from '#base/mod.ts';
import { PacketBuilder } from '#multicast/core/packet-builder.ts';
import {
  dataHeaderBytes,
  NativeBlockReader,
  singleMessageBlockBytes,
} from '#multicast/wire/mod.ts';
import { readPacket, TRANSPORT } from '#test/support/packets.ts';
import { SESSION_ID } from '#test/support/session-packets.ts';

const AT_US = 1_795_345_858_887_986;
const PACKET_BYTES = 300;

function newBuilder(packetBytesMax = PACKET_BYTES): PacketBuilder {
  assert.ok(isSessionId(SESSION_ID));
  return new PacketBuilder({
    framing: 'native',
    transport: TRANSPORT,
    session: SESSION_ID,
    packetBytesMax,
  });
}

function messagesIn(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array[] {
  const reader = new NativeBlockReader();
  assert.equal(reader.open(bytes, start, end), undefined);
  const messages: Uint8Array[] = [];
  while (reader.next()) messages.push(bytes.slice(reader.payloadStart, reader.payloadEnd));
  return messages;
}

/** The largest payload that shares packets with others. */
function inlineBytesMax(builder: PacketBuilder): number {
  let bytes = 0;
  while (builder.isInline(bytes + 1)) bytes += 1;
  return bytes;
}

test('nothing is taken from a builder that is not open', () => {
  const builder = newBuilder();
  assert.equal(builder.isOpen, false);
  assert.equal(builder.take(1, 0), undefined);
});

test('small messages share a packet, numbered by the first', () => {
  const builder = newBuilder();
  const payloads = [1, 2, 3].map((fill) => new Uint8Array(fill).fill(fill));
  for (const [index, payload] of payloads.entries()) {
    assert.ok(builder.append(payload, AT_US + index, 17 + index));
  }
  const packet = builder.take(2 ** 32 + 7, 2 ** 32 + 4);
  assert.ok(packet !== undefined);
  const read = readPacket(packet);
  assert.deepEqual([read.kind, read.sqn, read.trail, read.sequence], ['odata', 7, 4, 17]);
  assert.equal(read.hasFragment, false);
  assert.deepEqual(messagesIn(packet, read.payloadStart, read.payloadEnd), payloads);
  assert.equal(builder.isOpen, false);
});

test('an empty message is a message', () => {
  const builder = newBuilder();
  assert.ok(builder.append(new Uint8Array(0), AT_US, 1));
  const packet = builder.take(1, 0);
  assert.ok(packet !== undefined);
  const read = readPacket(packet);
  assert.deepEqual(messagesIn(packet, read.payloadStart, read.payloadEnd), [new Uint8Array(0)]);
});

test('a message that has no room leaves the open packet as it was', () => {
  const builder = newBuilder();
  assert.ok(builder.append(new Uint8Array(200), AT_US, 1));
  assert.equal(builder.append(new Uint8Array(200), AT_US, 2), false);
  const packet = builder.take(1, 0);
  assert.ok(packet !== undefined);
  const read = readPacket(packet);
  assert.equal(messagesIn(packet, read.payloadStart, read.payloadEnd).length, 1);
});

test('the largest inline message fills a packet to the last byte', () => {
  const builder = newBuilder();
  const bytes = inlineBytesMax(builder);
  assert.ok(builder.append(new Uint8Array(bytes), AT_US, 1));
  assert.equal(builder.take(1, 0)?.length, PACKET_BYTES);
});

test('a big message is cut into fragments that join to one block', () => {
  const builder = newBuilder();
  const payload = Uint8Array.from({ length: 1_000 }, (_, at) => at);
  const packets = builder.split(payload, AT_US, { sequence: 9, firstSqn: 40, trail: 30 });
  const apdu = new Uint8Array(singleMessageBlockBytes(payload.length));
  for (const [index, packet] of packets.entries()) {
    const read = readPacket(packet);
    assert.deepEqual([read.sqn, read.trail, read.sequence], [40 + index, 30, 9]);
    assert.deepEqual([read.hasFragment, read.fragmentFirstSqn], [true, 40]);
    assert.equal(read.apduBytes, apdu.length);
    assert.ok(packet.length <= PACKET_BYTES);
    apdu.set(packet.subarray(read.payloadStart, read.payloadEnd), read.fragmentStartBytes);
  }
  assert.deepEqual(messagesIn(apdu), [payload]);
});

test('a block that fills its fragments exactly has no empty last one', () => {
  const chunkBytes = PACKET_BYTES - dataHeaderBytes(true);
  for (const [overBytes, count] of [
    [-1, 3],
    [0, 3],
    [1, 4],
  ] as const) {
    const apduBytes = 3 * chunkBytes + overBytes;
    const payload = new Uint8Array(apduBytes - singleMessageBlockBytes(500) + 500);
    assert.equal(singleMessageBlockBytes(payload.length), apduBytes);
    const at = { sequence: 1, firstSqn: 0, trail: 0 };
    assert.equal(newBuilder().split(payload, AT_US, at).length, count);
  }
});

test('one byte more than inline is two fragments', () => {
  const builder = newBuilder();
  const payload = new Uint8Array(inlineBytesMax(builder) + 1);
  assert.equal(builder.split(payload, AT_US, { sequence: 1, firstSqn: 0, trail: 0 }).length, 2);
});

test('packets keep their bytes when later ones are built', () => {
  const builder = newBuilder(9_000);
  const packets = Array.from({ length: 200 }, (_, index) => {
    builder.append(new Uint8Array(5_000).fill(index), AT_US, 1 + index);
    return builder.take(index, 0);
  });
  for (const [index, packet] of packets.entries()) {
    assert.ok(packet !== undefined);
    const read = readPacket(packet);
    const [message] = messagesIn(packet, read.payloadStart, read.payloadEnd);
    assert.deepEqual(message, new Uint8Array(5_000).fill(index));
  }
});
