// What a publisher packs, a receiver unpacks: messages of any size in packets of any size, with any
// of the packets given up, in the framings whose packets other implementations read. And what they
// must never see is never sent. The model knows of a message only which packets it lies in.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isSessionId } from '#base/mod.ts';
import { PacketBuilder } from '#multicast/core/packet-builder.ts';
import { readZmqOffset, unwrapSqn, ZMQ_NO_START, zmqMessage } from '#multicast/wire/mod.ts';
import { withoutPrivateOptions } from '#sim/mod.ts';
import { readPacket, TRANSPORT } from '#test/support/packets.ts';
import { SESSION_ID } from '#test/support/session-packets.ts';
import { accounted, FIRST_SQN, newDelivery } from '#test/support/stream-deliveries.ts';

type Framing = 'raw' | 'zmq';

interface Packed {
  readonly packets: Uint8Array[];
  /** Per message the packets that it lies in, as indexes. */
  readonly spans: { readonly first: number; readonly last: number }[];
}

/** Packs as a publisher does: what has no room goes into the next packet, or over several. */
function pack(framing: Framing, messages: readonly Uint8Array[], packetBytesMax: number): Packed {
  assert.ok(isSessionId(SESSION_ID));
  const builder = new PacketBuilder({
    framing,
    transport: TRANSPORT,
    session: SESSION_ID,
    packetBytesMax,
  });
  const packets: Uint8Array[] = [];
  const spans: { first: number; last: number }[] = [];
  const flush = (): void => {
    const packet = builder.take(FIRST_SQN + packets.length, FIRST_SQN);
    if (packet !== undefined) packets.push(packet);
  };
  for (const [n, message] of messages.entries()) {
    if (builder.isInline(message.length)) {
      if (!builder.append(message, 0, n + 1)) {
        flush();
        assert.ok(builder.append(message, 0, n + 1));
      }
      spans.push({ first: packets.length, last: packets.length });
      continue;
    }
    flush();
    const at = { sequence: n + 1, firstSqn: FIRST_SQN + packets.length, trail: FIRST_SQN };
    const first = packets.length;
    packets.push(...builder.split(message, 0, at));
    spans.push({ first, last: packets.length - 1 });
  }
  flush();
  return { packets, spans };
}

const framing = fc.constantFrom<Framing>('raw', 'zmq');
const lengths = fc.array(fc.oneof(fc.nat(80), fc.nat(2_000)), { minLength: 1, maxLength: 20 });
const packetBytes = fc.integer({ min: 256, max: 1_472 });
const drops = fc.array(fc.nat(60), { maxLength: 6 });

function messagesOf(of: Framing, bytes: readonly number[]): Uint8Array[] {
  const payloads = bytes.map((length, n) => new Uint8Array(length).fill(n));
  return of === 'raw' ? payloads : payloads.map((payload) => zmqMessage([payload]));
}

test('each message comes out if all its packets came, and is lost otherwise', () => {
  const property = fc.property(
    framing,
    fc.boolean(),
    lengths,
    packetBytes,
    drops,
    (of, isForeign, bytes, packetBytesMax, dropped) => {
      const messages = messagesOf(of, bytes);
      const { packets, spans } = pack(of, messages, packetBytesMax);
      const gone = new Set(dropped);
      const options = isForeign ? { isForeign } : { isForeign, nextSequence: 1 };
      const { delivery, events, counters } = newDelivery(of, options);
      for (const [index, packet] of packets.entries()) {
        const sqn = FIRST_SQN + index;
        if (gone.has(index)) {
          delivery.hole('repair_expired', { first: sqn, last: sqn });
          continue;
        }
        const reader = readPacket(isForeign ? withoutPrivateOptions(packet) : packet);
        assert.ok(packet.length <= packetBytesMax);
        assert.equal(reader.hasSession, !isForeign);
        const { fragmentFirstSqn, fragmentStartBytes: startBytes, apduBytes } = reader;
        const firstSqn = unwrapSqn(fragmentFirstSqn, sqn);
        const fragment = reader.hasFragment ? { firstSqn, startBytes, apduBytes } : undefined;
        const foreignSqn = fragment?.firstSqn ?? sqn;
        const sequence = isForeign ? foreignSqn * (of === 'zmq' ? 65_536 : 1) : reader.sequence;
        const bytes = isForeign ? withoutPrivateOptions(packet) : packet;
        const { payloadStart, payloadEnd } = reader;
        delivery.packet(sqn, sequence, bytes, payloadStart, payloadEnd, fragment);
      }
      const endSqn = FIRST_SQN + packets.length;
      const endNumber = of === 'zmq' ? endSqn * 65_536 : endSqn;
      if (isForeign) delivery.conclude(endNumber, endSqn);
      else delivery.settled(messages.length + 1, endSqn);
      const told = accounted(of, events);
      const isWhole = ({ first, last }: { first: number; last: number }): boolean =>
        packets.slice(first, last + 1).every((_, n) => !gone.has(first + n));
      const expected = messages.filter((_, n) => isWhole(spans[n] ?? { first: 0, last: 0 }));
      assert.deepEqual(
        told.messages.map(({ payload }) => payload),
        expected,
      );
      assert.equal(counters.corruptBlocks, 0);
      assert.equal(told.next, isForeign ? endNumber : messages.length + 1);
      if (isForeign || told.messages.length === 0) return;
      const sequences = messages.flatMap((_, n) =>
        isWhole(spans[n] ?? { first: 0, last: 0 }) ? [n + 1] : [],
      );
      assert.deepEqual(
        told.messages.map(({ sequence }) => sequence),
        sequences,
      );
    },
  );
  fc.assert(property, { numRuns: 2_000 });
});

test('a ZeroMQ receiver never meets a fragment, a short TSDU or an offset beyond its end', () => {
  const property = fc.property(lengths, packetBytes, (bytes, packetBytesMax) => {
    for (const packet of pack('zmq', messagesOf('zmq', bytes), packetBytesMax).packets) {
      const { hasFragment, payloadStart, payloadEnd } = readPacket(packet);
      assert.equal(hasFragment, false);
      const sliceBytes = payloadEnd - payloadStart - 2;
      assert.ok(sliceBytes > 0);
      const offset = readZmqOffset(packet, payloadStart);
      assert.ok(offset === ZMQ_NO_START || offset < sliceBytes);
    }
  });
  fc.assert(property, { numRuns: 500 });
});
