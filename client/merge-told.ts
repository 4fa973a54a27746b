// The words of merging: what comes in live, and what a recovering subscriber is told, in order and
// once. What came from the archive has its own words in replay-source.

import { type LossCause, type SessionId, unreachable } from '#base/mod.ts';
import type { ReplayedRun } from './replay-source.ts';

/** A block of messages as the multicast receiver delivered it. */
export interface LiveRun {
  readonly kind: 'messages';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  /** `bytes` from `start` to `end` are walked with a block reader of the channel's framing. */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly arrivedAtUs: number;
  /** Some of it had been missing, and the publisher sent it again. */
  readonly isRepaired: boolean;
}

/** Sequences that the multicast receiver gave up. */
export interface LiveLost {
  readonly kind: 'lost';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly cause: LossCause;
}

/** What is heard live of a session; of each session without overlap and in order. */
export type LiveEntry = LiveRun | LiveLost;

/** Causes that only a recovering subscriber knows, beside those of the archive. */
export const SUBSCRIBER_LOSS_CAUSES = {
  deleted: 'They were archived, and a policy has deleted them since.',
  not_archived:
    'They were not heard here, and there is no archive that has them or will have them.',
} as const;

/** Why sequences will not come. */
export type LostCause = LossCause | keyof typeof SUBSCRIBER_LOSS_CAUSES;

/** Messages heard live; the first `skippedCount` of the run have been told already. */
export interface ToldLive {
  readonly kind: 'live_run';
  readonly run: LiveRun;
  readonly skippedCount: number;
}

/** Messages from the archive; the first `skippedCount` of the run have been told already. */
export interface ToldReplayed {
  readonly kind: 'replayed_run';
  readonly run: ReplayedRun;
  readonly skippedCount: number;
  /** All positions through the last one of the run are told with it; not so for a fetched one. */
  readonly isInPlace: boolean;
}

/** Sequences that will not come. */
export interface ToldLost {
  readonly kind: 'lost';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly cause: LostCause;
}

/** A session begins to be told, or is over. */
export interface ToldSession {
  readonly kind: 'session';
  readonly session: SessionId;
  readonly state: 'open' | 'closed' | 'expired';
}

/** Whether what follows comes from the archive or as it is published. */
export interface ToldMode {
  readonly kind: 'replaying' | 'live';
}

/** All positions through this one have been told. For cursors; nothing for the reader. */
export interface ToldPlace {
  readonly kind: 'place';
  readonly position: number;
}

/** One thing that is told, or noted between two of them. */
export type Told = ToldLive | ToldReplayed | ToldLost | ToldSession | ToldMode | ToldPlace;

/** What an entry takes beside its bytes: without it, empty messages would cost nothing. */
const OVERHEAD_BYTES = 256;

/** What holding it costs. */
export function heldBytes(held: LiveEntry | Told): number {
  switch (held.kind) {
    case 'messages':
      return OVERHEAD_BYTES + held.end - held.start;
    case 'live_run':
      return heldBytes(held.run);
    case 'replayed_run':
      return OVERHEAD_BYTES + held.run.payloads.length + 16 * held.run.messageCount;
    case 'lost':
    case 'session':
    case 'place':
    case 'replaying':
    case 'live':
      return OVERHEAD_BYTES;
    default:
      return unreachable(held);
  }
}
