// What a receiver tells its owner, in the order in which it is true: per session, every sequence is
// either in a `messages` or in a `lost`, exactly once, in order. Nothing is skipped in silence.

import type { LossCause, SessionId } from '#base/mod.ts';

/** A session is heard (again): its messages and losses follow. */
export interface SessionOpened {
  readonly kind: 'opened';
  readonly session: SessionId;
  /** Transport session identifier: 12 hex digits of GSI, a dot, the source port. For people. */
  readonly tsi: string;
  /**
   * Another implementation's: it numbers no messages. The receiver made up the session, and the
   * sequences are made of packet numbers, so they are not dense.
   */
  readonly isForeign: boolean;
}

/** The name of the publisher has become known. */
export interface SourceNamed {
  readonly kind: 'source';
  readonly session: SessionId;
  readonly source: string;
}

/**
 * A block of messages in order: `bytes` from `start` to `end` are walked with a block reader of the
 * channel's framing. The messages are numbered on from `firstSequence`.
 */
export interface MessagesDelivered {
  readonly kind: 'messages';
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly messageCount: number;
  /**
   * The last sequence that this block accounts for: that of its last message, or a later one where
   * those behind it number no message.
   */
  readonly lastSequence: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** Where to resume once these are stored: see ResumePoint. */
  readonly nextSqn: number;
  /** A packet of it came only after it had been missing. Not if not given. */
  readonly isRepaired?: boolean;
}

/** The publisher has sent messages through `sequence`, and not all of them are told yet. */
export interface LeadKnown {
  readonly kind: 'lead';
  readonly session: SessionId;
  readonly sequence: number;
}

/** Sequences that nobody will deliver any more. */
export interface MessagesLost {
  readonly kind: 'lost';
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly cause: LossCause;
  readonly nextSqn: number;
}

/**
 * A packet came again with other content than the one that was taken. Nothing of it is delivered;
 * the sequences are those that it shares with the first.
 */
export interface ContentConflict {
  readonly kind: 'conflict';
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** The unwrapped number of the packet. */
  readonly sqn: number;
}

/** The session is over: it said so (`fin`), or nothing was heard of it for too long (`expired`). */
export interface SessionClosed {
  readonly kind: 'closed';
  readonly session: SessionId;
  readonly cause: 'fin' | 'expired';
}

/** One thing that a receiver tells. */
export type ReceiverEvent =
  | SessionOpened
  | SourceNamed
  | MessagesDelivered
  | LeadKnown
  | MessagesLost
  | ContentConflict
  | SessionClosed;

/** Where a session was left, so that a restarted receiver asks for exactly what came after. */
export interface ResumePoint {
  readonly session: SessionId;
  /** The first sequence not yet accounted for. */
  readonly nextSequence: number;
  /**
   * The unwrapped number of the packet in which it starts, as told by the last `nextSqn`; undefined
   * if the session was heard and nothing was told of it yet.
   */
  readonly nextSqn: number | undefined;
  /** The session was made up for a foreign source, which is silent for longer than ours are. */
  readonly isForeign?: boolean;
}
