// What a subscription hands to its reader, and what it is opened with.

import type { SessionId } from '#base/mod.ts';
import type { GivenInstant } from './given-instant.ts';
import type { OpenSubscriberOptions } from './live-feed.ts';
import type { LostCause } from './merge-told.ts';
import type { ReplaySource } from './replay-source.ts';

/** A message, told once. */
export interface SubscribedMessage {
  readonly kind: 'message';
  readonly session: SessionId;
  /** The publisher's name, once it is known. */
  readonly source: string | undefined;
  readonly sequence: number;
  /** Its place in the archive; undefined of what was heard live, which has none yet. */
  readonly position: number | undefined;
  /** When it was published; when it arrived or was archived, where the framing does not say. */
  readonly publishedAtUs: number;
  /** Its bytes: to be copied by who keeps them, since they share memory with others. */
  readonly payload: Uint8Array;
  /**
   * `live`: as it was published. `repaired`: the publisher had to send it again. `replayed`: from
   * the archive.
   */
  readonly via: 'live' | 'repaired' | 'replayed';
  /** From its publish time until it came here, by two clocks: may be negative. */
  readonly lateUs: number;
}

/** Sequences that will not come; both ends included. */
export interface SubscribedLoss {
  readonly kind: 'lost';
  readonly session: SessionId;
  readonly source: string | undefined;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly cause: LostCause;
}

/** A session begins to be told, or is over. */
export interface SubscribedSession {
  readonly kind: 'session';
  readonly session: SessionId;
  readonly source: string | undefined;
  readonly state: 'open' | 'closed' | 'expired';
}

/** From here on messages come from the archive (`replaying`) or as they are published (`live`). */
export interface SubscribedMode {
  readonly kind: 'replaying' | 'live';
}

/** One thing that a subscription tells. */
export type SubscribedItem =
  | SubscribedMessage
  | SubscribedLoss
  | SubscribedSession
  | SubscribedMode;

/** Where a subscription begins. */
export type SubscribeFrom =
  /** With what is published next. */
  | 'live'
  /** With the first sequence of every session; what is deleted of them is told as lost. */
  | 'start'
  /** Where an earlier subscription was when its `cursor` was taken. */
  | { readonly cursor: string }
  /** With this position, at least 1. */
  | { readonly position: number }
  /** With what was published at this instant or later. */
  | { readonly time: GivenInstant };

/** What a subscription is opened with. At least one of `multicast` and `archive` is given. */
export interface SubscribeOptions {
  /** Name of the channel, as the archive knows it; a cursor is bound to it. */
  readonly channel: string;
  /** `live` if not given. Everything else but a cursor needs an archive. */
  readonly from?: SubscribeFrom | undefined;
  /**
   * How the channel is heard. Without it, messages come from the archive alone; so they do on a
   * channel of another framing than `native` that has one, where publishers number no messages.
   */
  readonly multicast?: OpenSubscriberOptions | undefined;
  /** Who has what was missed. Without one, a hole is lost at once. */
  readonly archive?: ReplaySource | undefined;
  /** How long to wait for an archive that does not get on; 5,000 if not given. */
  readonly stallMs?: number | undefined;
  /**
   * What then becomes of messages that are missing between others: `fail`, the default, ends the
   * subscription with BACKCAST_RECOVERY_STALLED; `lose` tells them as lost.
   */
  readonly whenStalled?: 'fail' | 'lose' | undefined;
  /** What may be heard and wait for the reader or the archive; 64 MiB if not given. */
  readonly bufferBytesMax?: number | undefined;
  /** Ends the subscription with its reason. */
  readonly signal?: AbortSignal | undefined;
}
