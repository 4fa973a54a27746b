// Streams of the framings zmq and raw cut into packets at will, the deliveries that they are fed
// to, and what was told of them: for tests that compare with a naive model.

import assert from 'node:assert/strict';
import { isSessionId } from '#base/mod.ts';
import {
  newReceiverCounters,
  newSessionCounters,
  type ReceiverCounters,
  type ReceiverEvent,
} from '#multicast/core/mod.ts';
import type { Delivery } from '#multicast/core/delivery.ts';
import { OrderedDelivery } from '#multicast/core/ordered-delivery.ts';
import { StreamDelivery } from '#multicast/core/stream-delivery.ts';
import { newBlockReader, ZMQ_NO_START } from '#multicast/wire/mod.ts';
import { SESSION_ID } from './session-packets.ts';

/** The first packet of these streams, unwrapped: one round up, as receivers count. */
export const FIRST_SQN = 2 ** 32 + 7;
/** Sequences per packet of a foreign zmq source. */
export const PLACES = 65_536;

/** A message and the packets that it lies in; `index` counts the starts in the first of them. */
export interface PlacedMessage {
  readonly bytes: Uint8Array;
  readonly firstSqn: number;
  readonly lastSqn: number;
  readonly index: number;
}

/** One packet's payload, and the number of the first message that starts in it or behind it. */
export interface StreamPacket {
  readonly sqn: number;
  readonly tsdu: Uint8Array;
  readonly firstStart: number;
}

/** Messages back to back, in slices of these sizes over and over. */
export function cutStream(
  messages: readonly Uint8Array[],
  sliceSizes: readonly number[],
): { readonly packets: StreamPacket[]; readonly placed: PlacedMessage[] } {
  const stream = Buffer.concat(messages);
  const packets: StreamPacket[] = [];
  const placed: PlacedMessage[] = [];
  const starts = startsOf(messages);
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + (sliceSizes[packets.length % sliceSizes.length] ?? 1));
    const firstStart = starts.findIndex((start) => start >= at);
    const offset = (starts[firstStart] ?? end) - at;
    const isStart = firstStart >= 0 && offset < end - at;
    const head = Buffer.alloc(2);
    head.writeUInt16BE(isStart ? offset : ZMQ_NO_START);
    const tsdu = new Uint8Array(Buffer.concat([head, stream.subarray(at, end)]));
    const number = firstStart < 0 ? messages.length : firstStart;
    packets.push({ sqn: FIRST_SQN + packets.length, tsdu, firstStart: number });
    at = end;
  }
  for (const [number, bytes] of messages.entries()) {
    const first = packetAt(packets, starts[number] ?? 0);
    const last = packetAt(packets, (starts[number] ?? 0) + bytes.length - 1);
    const index = number - first.firstStart;
    placed.push({ bytes, firstSqn: first.sqn, lastSqn: last.sqn, index });
  }
  return { packets, placed };
}

function startsOf(messages: readonly Uint8Array[]): number[] {
  let at = 0;
  return messages.map(({ length }) => {
    at += length;
    return at - length;
  });
}

function packetAt(packets: readonly StreamPacket[], byteAt: number): StreamPacket {
  let end = 0;
  const found = packets.find(({ tsdu }) => {
    end += tsdu.length - 2;
    return byteAt < end;
  });
  assert.ok(found !== undefined);
  return found;
}

/** What a delivery has told, and how. */
export interface Told {
  readonly events: ReceiverEvent[];
  readonly counters: ReceiverCounters;
}

/** A delivery of either kind whose events are kept. */
export function newDelivery(
  framing: 'zmq' | 'raw',
  options: {
    readonly isForeign: boolean;
    readonly nextSequence?: number | undefined;
    readonly resumeSqn?: number | undefined;
    readonly messageBytesMax?: number;
    readonly told?: Told;
  },
): Told & { readonly delivery: Delivery } {
  assert.ok(isSessionId(SESSION_ID));
  const told = options.told ?? { events: [], counters: newReceiverCounters() };
  const places = framing === 'zmq' ? PLACES : 1;
  const deliveryOptions = {
    session: SESSION_ID,
    framing,
    placesPerPacket: options.isForeign ? places : undefined,
    nextSequence: options.nextSequence,
    resumeSqn: options.resumeSqn,
    messageBytesMax: options.messageBytesMax ?? 1_048_576,
    counters: told.counters,
    tally: newSessionCounters(),
    emit: (event: ReceiverEvent) => told.events.push(event),
  };
  const delivery =
    framing === 'zmq' ? new StreamDelivery(deliveryOptions) : new OrderedDelivery(deliveryOptions);
  return { delivery, ...told };
}

/** A message as it was told. */
export interface ToldMessage {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/**
 * Messages and losses of `events`. Fails unless they tile the sequences: no number left out, none
 * told twice, and no message beyond what its block accounts for.
 */
export function accounted(
  framing: 'zmq' | 'raw',
  events: readonly ReceiverEvent[],
): { readonly messages: ToldMessage[]; readonly lost: [number, number][]; readonly next: number } {
  const messages: ToldMessage[] = [];
  const lost: [number, number][] = [];
  const reader = newBlockReader(framing);
  let next = Number.NaN;
  for (const event of events) {
    if (event.kind !== 'messages' && event.kind !== 'lost') continue;
    if (!Number.isNaN(next)) assert.equal(event.firstSequence, next, 'sequences are tiled');
    next = event.lastSequence + 1;
    assert.ok(next > event.firstSequence);
    if (event.kind === 'lost') {
      lost.push([event.firstSequence, event.lastSequence]);
      continue;
    }
    assert.equal(reader.open(event.bytes, event.start, event.end), undefined);
    assert.equal(reader.messageCount, event.messageCount);
    assert.ok(event.firstSequence + event.messageCount <= next);
    for (let sequence = event.firstSequence; reader.next(); sequence += 1) {
      const payload = event.bytes.slice(reader.payloadStart, reader.payloadEnd);
      messages.push({ sequence, payload: new Uint8Array(payload) });
    }
  }
  return { messages, lost, next };
}
