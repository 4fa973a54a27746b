// Packets of foreign sources, built by hand like those of ours, and what a receiver makes of them.

import type { Receiver, ReceiverEvent, ReceiverOptions } from '#multicast/core/mod.ts';
import { withoutPrivateOptions } from '#sim/mod.ts';
import { CHANNEL, type DataFields, dataPacket, newReceiver, spmPacket } from './session-packets.ts';

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
