// Packets as another implementation sends them: ours without the private options. So a foreign
// source can be played by one of our publishers, or built by hand like any other packet.

import type { Receiver, ReceiverEvent, ReceiverOptions } from '#multicast/core/mod.ts';
import { onesSum, type PacketReader } from '#multicast/wire/mod.ts';
import { readPacket } from './packets.ts';
import { CHANNEL, type DataFields, dataPacket, newReceiver, spmPacket } from './session-packets.ts';

const OPTIONS_PRESENT = 0x01;
const OPTION_END = 0x80;
const OPTION_HEAD_BYTES = 4;
const FIRST_PRIVATE_OPTION = 0x40;
const FLAGS_AT = 5;
const CHECKSUM_AT = 6;
const TSDU_LENGTH_AT = 14;

/** `packet` without the options that are Backcast's own; any packet will do. */
export function withoutPrivateOptions(packet: Uint8Array): Uint8Array {
  if ((packet[FLAGS_AT] & OPTIONS_PRESENT) === 0) return packet;
  const reader = readPacket(packet);
  const chainStart = chainStartOf(reader);
  const kept = optionsOf(packet, chainStart).filter(
    (option) => (option[0] & ~OPTION_END) < FIRST_PRIVATE_OPTION,
  );
  const tsduBytes = (packet[TSDU_LENGTH_AT] << 8) | packet[TSDU_LENGTH_AT + 1];
  const tsdu = packet.subarray(packet.length - tsduBytes);
  const stripped = Buffer.concat([packet.subarray(0, chainStart), chainOf(kept), tsdu]);
  if (kept.length === 0) stripped[FLAGS_AT] &= ~OPTIONS_PRESENT;
  stripped.writeUInt16BE(0, CHECKSUM_AT);
  stripped.writeUInt16BE(~onesSum(stripped, stripped.length) & 0xffff || 0xffff, CHECKSUM_AT);
  return new Uint8Array(stripped);
}

/** A data packet of a foreign source. */
export function foreignData(fields: Omit<DataFields, 'sequence'>): Uint8Array {
  return withoutPrivateOptions(dataPacket({ ...fields, sequence: 1 }));
}

/** An SPM of a foreign source. */
export function foreignSpm(fields: {
  readonly sqn?: number;
  readonly trail?: number;
  readonly lead: number;
  readonly isFin?: boolean;
}): Uint8Array {
  return withoutPrivateOptions(spmPacket({ ...fields, sequence: 1 }));
}

/** The receiver's first round of packet numbers, and the sequences of a packet of zmq. */
export const ROUND: number = 2 ** 32;
export const PLACES = 65_536;
/** The text of the TSI of these packets. */
export const TSI = '0a0b0c0d0e0f.4369';

/** A receiver of CHANNEL in the framing raw, with a fixed seed. */
export function rawReceiver(options: Partial<ReceiverOptions> = {}): Receiver {
  return newReceiver({ address: { ...CHANNEL, framing: 'raw' }, ...options });
}

/** A data packet that holds its own number as text. */
export function rawData(
  sqn: number,
  fields: Partial<Omit<DataFields, 'sequence'>> = {},
): Uint8Array {
  return foreignData({ sqn, tsdu: new TextEncoder().encode(String(sqn)), ...fields });
}

/** All that a receiver has told since the last call. */
export function eventsOf(receiver: Receiver): ReceiverEvent[] {
  const all: ReceiverEvent[] = [];
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    all.push(event);
  }
  return all;
}

function chainStartOf({ kind }: PacketReader): number {
  if (kind === 'odata' || kind === 'rdata') return 24;
  return kind === 'spmr' ? 16 : 36;
}

function optionsOf(packet: Uint8Array, chainStart: number): Uint8Array[] {
  const options: Uint8Array[] = [];
  let at = chainStart + OPTION_HEAD_BYTES;
  for (let isLast = false; !isLast; ) {
    const option = packet.slice(at, at + packet[at + 1]);
    isLast = (option[0] & OPTION_END) !== 0;
    at += option.length;
    options.push(option);
  }
  return options;
}

function chainOf(options: readonly Uint8Array[]): Uint8Array {
  if (options.length === 0) return new Uint8Array(0);
  const bytes = options.reduce((sum, { length }) => sum + length, OPTION_HEAD_BYTES);
  const chain = Buffer.concat([Uint8Array.of(0, OPTION_HEAD_BYTES, bytes >> 8, bytes), ...options]);
  let at = OPTION_HEAD_BYTES;
  for (const [index, { length }] of options.entries()) {
    chain[at] &= ~OPTION_END;
    if (index === options.length - 1) chain[at] |= OPTION_END;
    at += length;
  }
  return chain;
}
