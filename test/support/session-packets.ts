// One publisher's packets as a receiver gets them, built by hand: for tests that decide what
// arrives and when. And what a receiver says and sends, as short texts that read well in an
// assertion.

import { type ChannelAddress, seededRandom, unreachable } from '#base/mod.ts';
import {
  type Machine,
  Receiver,
  type ReceiverEvent,
  type ReceiverOptions,
  type Remote,
} from '#multicast/core/mod.ts';
import {
  type Fragment,
  ipv4ToWord,
  NativeBlockWriter,
  toRepair,
  type TransportSession,
  writeNak,
  writeNcf,
  writeSpm,
} from '#multicast/wire/mod.ts';
import { packetOf, readPacket, SESSION, SOURCE_NLA, TRANSPORT, writeData } from './packets.ts';

/** The channel of TRANSPORT. */
export const CHANNEL: ChannelAddress = {
  group: '239.255.0.1',
  port: 7_500,
  dport: TRANSPORT.dataDport,
  framing: 'native',
};

/** Where the publisher's datagrams come from. */
export const PUBLISHER: Remote = { address: '192.168.1.7', port: 40_001 };

const GROUP_NLA = ipv4ToWord(CHANNEL.group);
const PUBLISHED_AT_US = 1_795_345_858_887_986;

/** The session of these packets, and the words of one that follows it on the same TSI. */
export const SESSION_ID = '0123456789abcdef';
export const NEXT_SESSION = { sessionHigh: 0x0123_4567, sessionLow: 0x89ab_cdf0 } as const;

/** A data packet. Without `messages` its one message is its sequence in decimal. */
export interface DataFields {
  readonly sqn: number;
  readonly sequence: number;
  readonly trail?: number;
  readonly messages?: readonly Uint8Array[];
  readonly fragment?: Fragment;
  /** The TSDU instead of a block of messages. */
  readonly tsdu?: Uint8Array;
  readonly isRepair?: boolean;
  readonly session?: { readonly sessionHigh: number; readonly sessionLow: number };
  readonly transport?: Partial<TransportSession>;
}

/** ODATA, or RDATA if `isRepair`. */
export function dataPacket(fields: DataFields): Uint8Array {
  const { sqn, sequence, trail = 0, fragment } = fields;
  const messages = fields.messages ?? [new TextEncoder().encode(String(sequence))];
  const tsdu = fields.tsdu ?? blockOf(messages);
  const session = { ...SESSION, ...fields.session, sequence };
  const header = { ...TRANSPORT, ...fields.transport, ...session, sqn, trail, fragment };
  const packet = packetOf((into) => writeData(into, header, tsdu));
  if (fields.isRepair === true) toRepair(packet, trail);
  return packet;
}

/** A block of messages, all published at the same time. */
export function blockOf(messages: readonly Uint8Array[]): Uint8Array {
  const payloadBytes = messages.reduce((sum, { length }) => sum + length, 0);
  const block = new Uint8Array(64 + payloadBytes + messages.length * 8);
  const writer = new NativeBlockWriter();
  writer.start(block, 0);
  for (const message of messages) writer.append(message, PUBLISHED_AT_US);
  return block.slice(0, writer.end);
}

/** `count` empty messages. */
export function emptyMessages(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => new Uint8Array(0));
}

/** An SPM; its window is [trail, lead], `sequence` the first message after lead. */
export function spmPacket(fields: {
  readonly sqn?: number;
  readonly trail?: number;
  readonly lead: number;
  readonly sequence: number;
  readonly isFin?: boolean;
  readonly hasSession?: boolean;
  readonly session?: { readonly sessionHigh: number; readonly sessionLow: number };
  readonly source?: string;
  readonly transport?: Partial<TransportSession>;
}): Uint8Array {
  const { sqn = 0, trail = 0, lead, sequence, isFin, source = 'gateway-7' } = fields;
  const session =
    fields.hasSession === false ? undefined : { ...SESSION, ...fields.session, sequence };
  const publisher = { nakPort: 40_001, sourceName: source };
  const spm = {
    ...TRANSPORT,
    ...fields.transport,
    sqn,
    trail,
    lead,
    nla: SOURCE_NLA,
    session,
    publisher,
    isFin,
  };
  return packetOf((into) => writeSpm(into, spm));
}

/** A confirmation of `sqns`. */
export function ncfPacket(sqns: readonly number[]): Uint8Array {
  const fields = { ...TRANSPORT, nla: SOURCE_NLA, groupNla: GROUP_NLA, sqns, count: sqns.length };
  return packetOf((into) => writeNcf(into, fields));
}

/** A NAK for `sqns`. */
export function nakPacket(sqns: readonly number[], transport = TRANSPORT): Uint8Array {
  const fields = { ...transport, nla: SOURCE_NLA, groupNla: GROUP_NLA, sqns, count: sqns.length };
  return packetOf((into) => writeNak(into, fields));
}

/** A receiver of CHANNEL with a fixed seed. */
export function newReceiver(options: Partial<ReceiverOptions> = {}): Receiver {
  return new Receiver({
    address: CHANNEL,
    join: 'window',
    random: seededRandom(1),
    messageBytesMax: 1_048_576,
    repairTimeoutMs: 30_000,
    sourceExpiryMs: 60_000,
    ...options,
  });
}

/** Hands packets to a machine at `nowMs`. */
export function hear(machine: Machine, nowMs: number, ...packets: readonly Uint8Array[]): void {
  for (const packet of packets) machine.handleDatagram(packet, PUBLISHER, nowMs);
}

/**
 * What a receiver has told since the last call: `messages 1-3`, `lost 4-5 late_join`, `closed fin`.
 * Leads are left out: every SPM ahead of a hole tells one.
 */
export function told(receiver: Receiver): string[] {
  const texts: string[] = [];
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    if (event.kind !== 'lead') texts.push(eventText(event));
  }
  return texts;
}

/** One event as `told` gives it. */
export function eventText(event: ReceiverEvent): string {
  switch (event.kind) {
    case 'opened':
      return 'opened';
    case 'source':
      return `source ${event.source}`;
    case 'closed':
      return `closed ${event.cause}`;
    case 'lead':
      return `lead ${event.sequence}`;
    case 'conflict':
      return `conflict ${event.firstSequence}-${event.lastSequence}`;
    case 'lost':
      return `lost ${event.firstSequence}-${event.lastSequence} ${event.cause}`;
    case 'messages':
      return `messages ${event.firstSequence}-${event.firstSequence + event.messageCount - 1}`;
    default:
      return unreachable(event);
  }
}

/** What a machine has to send: `nak 3 4 to 192.168.1.7:40001`. */
export function sent(machine: Machine): string[] {
  const texts: string[] = [];
  for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
    const reader = readPacket(next.bytes);
    const hasSqns = reader.kind === 'nak' || reader.kind === 'ncf';
    const sqns = hasSqns ? [...reader.sqnList.subarray(0, reader.sqnCount)] : [];
    const to = `to ${next.address}:${next.port}`;
    texts.push([reader.kind, ...sqns, to].join(' '));
  }
  return texts;
}

/**
 * Runs a machine's deadlines, and nothing else, from `fromMs` to `untilMs`; returns what it sent.
 */
export function waitUntil(machine: Machine, untilMs: number, fromMs = 0): string[] {
  const texts: string[] = sent(machine);
  for (let steps = 0; machine.nextDeadlineMs <= untilMs; steps += 1) {
    if (steps > 100_000) throw new Error('the deadline does not move');
    machine.handleTimeout(Math.max(machine.nextDeadlineMs, fromMs));
    texts.push(...sent(machine));
  }
  return texts;
}
