// What the machines ask of whoever has the keys of a channel: to seal what leaves, and to say
// whether what arrives may be believed. Which keys there are and how tags are calculated is not
// known here. A machine without an authenticator neither seals nor asks.
//
// A packet is judged right after it has been read and found to be of this channel, before anything
// is made of it: one that fails moves counters and nothing else.

import type { PacketReader } from '#multicast/wire/mod.ts';
import type { PublisherCounters, ReceiverCounters } from './counters.ts';

/** What can be said of a packet's tag. */
export type Authenticity =
  | 'genuine'
  /** The packet carries no tag. */
  | 'missing'
  /** It names a key that is not known here. */
  | 'unknown_key'
  /** It was not made with the key that it names. */
  | 'wrong';

/** Seals and checks the packets of one channel. */
export interface Authenticator {
  /** Puts key id, tag and checksum into a packet that was written with room for them, in place. */
  seal(packet: Uint8Array): void;
  /** Judges `packet`, which `reader` has read; changes neither. */
  check(packet: Uint8Array, reader: PacketReader): Authenticity;
}

type RejectionCounters = Pick<
  PublisherCounters & ReceiverCounters,
  'unauthenticatedMissing' | 'unauthenticatedUnknownKey' | 'unauthenticatedWrong'
>;

/** Whether `packet` may be believed; counts why not. */
export function isBelieved(
  authenticator: Authenticator | undefined,
  packet: Uint8Array,
  reader: PacketReader,
  counters: RejectionCounters,
): boolean {
  if (authenticator === undefined) return true;
  const authenticity = authenticator.check(packet, reader);
  if (authenticity === 'genuine') return true;
  if (authenticity === 'missing') counters.unauthenticatedMissing += 1;
  else if (authenticity === 'unknown_key') counters.unauthenticatedUnknownKey += 1;
  else counters.unauthenticatedWrong += 1;
  return false;
}
