// The values that go into the store beside segments: what is known of sessions, losses, and the
// batch of all three that becomes one transaction.

import type { LossCause, SessionId } from '#base/mod.ts';
import type { Segment } from '#archive/segment/mod.ts';

/**
 * How far the archive is with a session. At every commit [firstArchived, watermark] is accounted
 * for.
 */
export interface SessionProgress {
  readonly session: SessionId;
  /** The publisher's name, once known. */
  readonly source?: string;
  /** Transport session identifier: which peer on the wire it is. */
  readonly tsi: string;
  /**
   * Whether its source is not ours: its numbers are then made of the packet numbers, and do not
   * begin at 1.
   */
  readonly isForeign: boolean;
  readonly state: 'open' | 'closed' | 'expired';
  /** Of a foreign session the first number that was told; 1 while none was. */
  readonly firstArchived: number;
  /** firstArchived − 1 when nothing is archived yet. */
  readonly watermark: number;
  /** The newest sequence known to exist. */
  readonly lead: number;
  /** The packet number after the last archived packet, for a restarted archiver to go on from. */
  readonly resumeSqn: number;
  /** When it was closed or given up. */
  readonly closedAtUs?: number;
}

/** Sequences that will not come any more, both ends included. */
export interface DeclaredLoss {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly cause: LossCause;
  /** Position after which the hole lies in the channel's order of delivery; 0 before the first. */
  readonly afterPosition: number;
  readonly detectedAtUs: number;
  /**
   * The packets it lies in, for the one who investigates: those from `firstSqn` to before
   * `nextSqn`; `firstSqn` is undefined where nothing of the session was known before.
   */
  readonly firstSqn: number | undefined;
  readonly nextSqn: number;
  /**
   * How many packets of a foreign source it is: nobody knows how many messages they held. Null for
   * a source of ours, where every number is a message.
   */
  readonly packetCount: number | null;
}

/**
 * Declared lost before, and here after all: the messages are in the batch's segments, the loss stays
 * and is marked as healed. Both ends included; a declared loss covers it.
 */
export interface Heal {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Name of the archiver that had heard them. */
  readonly by: string;
}

/** Names one offer of messages that were declared lost. */
export interface HealOfferKey {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly offeredBy: string;
}

/** Everything that one transaction makes durable for one channel. */
export interface ArchiveBatch {
  readonly channelId: number;
  /** The lease under which it is written. */
  readonly epoch: number;
  /** Head of the channel before this batch. */
  readonly expectedHead: number;
  /**
   * In the order of positions, the first at expectedHead + 1. May be empty: then the head stays.
   */
  readonly segments: readonly Segment[];
  readonly sessions: readonly SessionProgress[];
  readonly losses: readonly DeclaredLoss[];
  /**
   * Their messages are in segments of their own behind the others; their sessions' watermarks do
   * not move for them.
   */
  readonly heals: readonly Heal[];
  /** Offers that this batch takes or finds to be of no use: their rows go. */
  readonly resolvedOffers: readonly HealOfferKey[];
}

/**
 * What became of a batch. `committed`: durable, and `head` is the last position. `fenced`: nothing
 * was written, another archiver has the channel now. `rolled_back`: nothing was written, and the
 * archive ends before the head that this archiver has seen committed: another server took over that
 * lacks the last commits.
 */
export type AppendResult =
  | { readonly outcome: 'committed'; readonly head: number; readonly archivedAtUs: number }
  | { readonly outcome: 'fenced' }
  | { readonly outcome: 'rolled_back'; readonly head: number; readonly epoch: number };
