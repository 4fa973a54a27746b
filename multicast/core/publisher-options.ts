// What the owner of a publisher says about it, and what it tells its owner.

import type { ChannelAddress, SessionId } from '#base/mod.ts';
import type { TransportSession } from '#multicast/wire/mod.ts';
import type { Authenticator } from './authentication.ts';
import type { PacePolicy } from './pace.ts';

/** What a publisher is made of. */
export interface PublisherOptions {
  readonly address: ChannelAddress;
  readonly session: SessionId;
  /** Name of the publisher across restarts, as receivers show it. */
  readonly source: string;
  /** The TSI: random per incarnation. `dataDport` is the channel's. */
  readonly transport: TransportSession;
  /** Address at which receivers reach this publisher, and the UDP port where it hears NAKs. */
  readonly nla: string;
  readonly nakPort: number;
  readonly packetBytesMax: number;
  readonly messageBytesMax: number;
  readonly windowPackets: number;
  readonly windowBytes: number;
  readonly rateBytesPerSec: number;
  /** Whether the rate gives way while receivers ask for much again; constant if it is left out. */
  readonly pace?: PacePolicy;
  /** How long a packet waits for more messages to share it. */
  readonly flushMs: number;
  readonly lingerMs: number;
  /**
   * Bytes of packets that may be out and not archived before messages are turned away; no bound if
   * it is left out. Needs an archiver that acknowledges: without one, nothing more is taken once
   * the bound is reached.
   */
  readonly unarchivedBytesMax?: number | undefined;
  /** Seals what leaves and judges what arrives; without one, nothing is sealed or judged. */
  readonly authenticator?: Authenticator | undefined;
  /** First packet number, for tests of the 32-bit wrap; 0 otherwise. */
  readonly firstSqn?: number;
}

/** Where a publisher stands at one moment. */
export interface PublisherSnapshot {
  /** What data may use now: the configured rate, or what the pace leaves of it. */
  readonly rateBytesPerSec: number;
  /** Accepted, and not sent for the first time yet. */
  readonly unsentPackets: number;
  readonly unsentBytes: number;
  /** Asked for, and not sent again yet. */
  readonly repairsWaiting: number;
  /** Packets made and not known to be archived; 0 without `unarchivedBytesMax`. */
  readonly unarchivedBytes: number;
}

/** What a publisher tells its owner. */
export type PublisherEvent =
  | { readonly kind: 'writable' }
  /** Everything through this sequence is archived or lost now; `archiveStateOf` says which. */
  | { readonly kind: 'archived'; readonly through: number }
  /** The archive has less than it had acknowledged: through this sequence. */
  | { readonly kind: 'archive_went_back'; readonly through: number }
  | { readonly kind: 'closed' };

/** What became of a message handed to `publish`. */
export type PublishOutcome = 'accepted' | 'would_block' | 'too_large' | 'closed';
