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
 * Sequences that were declared lost, and that the batch it belongs to stores after all: somebody
 * else had heard them. What of them is not declared lost stays as it is.
 */
export interface Heal {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Who had heard them: the name of an archiver. */
  readonly by: string;
}

/**
 * Sequences that were told twice with different bytes. What is stored stays; what the other telling
 * said is kept as a hash, if anybody had all of it.
 */
export interface Conflict {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** SHA-256 of the payload as stored, and as it was told the other time. Null if not known. */
  readonly storedSha256: Uint8Array | null;
  readonly heardSha256: Uint8Array | null;
  readonly detectedAtUs: number;
  /** How it showed, in words. */
  readonly evidence: string;
}

/** Everything that one transaction makes durable for one channel. */
export interface ArchiveBatch {
  readonly channelId: number;
  /** The lease under which it is written. */
  readonly epoch: number;
  /** Head of the channel before this batch. */
  readonly expectedHead: number;
  /**
   * Batches of the channel before this one, not all of which move the head; not checked if not
   * given.
   */
  readonly expectedCommits?: number;
  /**
   * In the order of positions, the first at expectedHead + 1. May be empty: then the head stays.
   */
  readonly segments: readonly Segment[];
  readonly sessions: readonly SessionProgress[];
  readonly losses: readonly DeclaredLoss[];
  /** Apart from each other. The segments hold every message of theirs. */
  readonly heals: readonly Heal[];
  readonly conflicts: readonly Conflict[];
}

/**
 * What became of a batch. `committed`: durable, and `head` is the last position. `fenced`: nothing
 * was written, another archiver has the channel now. `rolled_back`: nothing was written, and the
 * server lacks what it had committed before, so that `head` lies before where the batch begins, or
 * `epoch` before that of the batch; a failover to a server that was behind does that. Both are 0 if
 * the server does not know the lease at all.
 */
export type AppendResult =
  | { readonly outcome: 'committed'; readonly head: number; readonly archivedAtUs: number }
  | { readonly outcome: 'fenced' }
  | { readonly outcome: 'rolled_back'; readonly head: number; readonly epoch: number };
