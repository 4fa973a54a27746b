// The whole receive path against a model that knows of packets only whether each came before it was
// lost. A stream is small blocks and big messages in fragments; its packets arrive in any order,
// repeated, missing, with trails that move on.

import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { NativeBlockReader } from '#multicast/wire/mod.ts';
import {
  blockOf,
  dataPacket,
  hear,
  newReceiver,
  spmPacket,
  waitUntil,
} from '#test/support/session-packets.ts';
import { inFull } from '#test/support/thoroughness.ts';

const FIRST_SQN = 2 ** 32 - 5;

interface StreamPacket {
  readonly sequence: number;
  readonly messageCount: number;
  /** Whether the last message of the packet ends in it. */
  readonly isEnd: boolean;
  readonly bytesAt: (trail: number) => Uint8Array;
}

/** 1 to 3 small messages in a packet, or one message over 2 to 4 packets (negative). */
const layout = fc.array(fc.constantFrom(1, 2, 3, -2, -3, -4), { minLength: 1, maxLength: 12 });

function streamOf(pieces: readonly number[]): StreamPacket[] {
  const packets: StreamPacket[] = [];
  let sequence = 1;
  for (const piece of pieces) {
    if (piece > 0) addBlock(packets, sequence, piece);
    else addFragments(packets, sequence, -piece);
    sequence += Math.max(1, piece);
  }
  return packets;
}

function wire(index: number): number {
  return (FIRST_SQN + index) >>> 0;
}

function payload(sequence: number, bytes = 4): Uint8Array {
  return new Uint8Array(bytes).fill(sequence);
}

function addBlock(packets: StreamPacket[], sequence: number, messageCount: number): void {
  const index = packets.length;
  const messages = Array.from({ length: messageCount }, (_, n) => payload(sequence + n));
  const bytesAt = (trail: number): Uint8Array =>
    dataPacket({ sqn: wire(index), trail: wire(trail), sequence, messages });
  packets.push({ sequence, messageCount, isEnd: true, bytesAt });
}

function addFragments(packets: StreamPacket[], sequence: number, count: number): void {
  const apdu = blockOf([payload(sequence, count * 100 - 20)]);
  const firstIndex = packets.length;
  for (let n = 0; n < count; n += 1) {
    const tsdu = apdu.slice(n * 100, (n + 1) * 100);
    const fragment = { firstSqn: wire(firstIndex), startBytes: n * 100, apduBytes: apdu.length };
    const bytesAt = (trail: number): Uint8Array =>
      dataPacket({ sqn: wire(firstIndex + n), trail: wire(trail), sequence, fragment, tsdu });
    packets.push({ sequence, messageCount: 1, isEnd: n === count - 1, bytesAt });
  }
}

/** Per sequence from 1: delivered or not. Fails on anything out of order, or with other bytes. */
function accounted(events: readonly ReceiverEvent[]): boolean[] {
  const fates: boolean[] = [];
  for (const event of events) {
    if (event.kind !== 'messages' && event.kind !== 'lost') continue;
    assert.equal(event.firstSequence, fates.length + 1);
    if (event.kind === 'lost') {
      for (let n = event.firstSequence; n <= event.lastSequence; n += 1) fates.push(false);
      continue;
    }
    const reader = new NativeBlockReader();
    assert.equal(reader.open(event.bytes, event.start, event.end), undefined);
    for (; reader.next(); fates.push(true)) {
      assert.equal(event.bytes[reader.payloadStart], fates.length + 1);
    }
  }
  return fates;
}

/**
 * What the model says of each sequence: delivered if all its packets came before they were lost.
 */
function expectedFates(
  packets: readonly StreamPacket[],
  cameInTime: readonly boolean[],
): boolean[] {
  const fates: boolean[] = [];
  for (const [index, packet] of packets.entries()) {
    for (let n = 0; n < packet.messageCount; n += 1) {
      const at = packet.sequence - 1 + n;
      fates[at] = (fates[at] ?? true) && (cameInTime[index] ?? false);
    }
  }
  return fates;
}

const arrivals = fc.array(
  fc.record({ at: fc.nat(1_000), trail: fc.nat(6), isSpm: fc.boolean(), waitMs: fc.nat(30) }),
  { maxLength: 60 },
);

test('every message is delivered if its packets came before they were lost, else declared', () => {
  fc.assert(
    fc.property(layout, arrivals, (pieces, steps) => {
      const packets = streamOf(pieces);
      const last = packets.at(-1);
      const receiver = newReceiver({ repairTimeoutMs: 5_000 });
      const cameInTime: boolean[] = packets.map(() => false);
      const events: ReceiverEvent[] = [];
      const drain = (): void => {
        for (let next = receiver.pollEvent(); next !== undefined; next = receiver.pollEvent())
          events.push(next);
      };
      let nowMs = 0;
      let trail = 0;
      let spmSqn = 0;
      const spm = (lead: number): Uint8Array => {
        const next = packets[lead + 1];
        const sequence =
          next?.sequence ?? (last === undefined ? 1 : last.sequence + last.messageCount);
        const edges = { trail: wire(trail), lead: wire(lead) };
        return spmPacket({ ...edges, sqn: spmSqn++, sequence });
      };
      hear(receiver, nowMs, spm(-1));
      for (const step of steps) {
        const index = step.at % packets.length;
        trail = Math.max(trail, Math.min(index, step.trail + (step.at % 3) - 4));
        nowMs += step.waitMs;
        if (step.isSpm && step.at % 2 === 0) {
          hear(receiver, nowMs, spm(Math.max(trail - 1, index)));
        } else if (index >= trail) {
          hear(receiver, nowMs, packets[index]?.bytesAt(trail) ?? new Uint8Array(0));
          cameInTime[index] = true;
        }
        waitUntil(receiver, nowMs);
        drain();
      }
      hear(receiver, nowMs, spm(packets.length - 1));
      waitUntil(receiver, nowMs + 6_000);
      drain();
      assert.deepEqual(accounted(events), expectedFates(packets, cameInTime));
    }),
    { numRuns: inFull(1_000, 250) },
  );
});
