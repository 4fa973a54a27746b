// What a backlog is made of, and what it is told by those around it.

import type { BackcastError, Framing, SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesDelivered, MessagesLost } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { Spool } from './spool/mod.ts';

/** What a backlog is made of. */
export interface BacklogOptions {
  /** How the channel's packets are cut into messages. */
  readonly framing: Framing;
  /** What the archive has, those opened last at the end; and its head. */
  readonly sessions: readonly SessionProgress[];
  readonly head: number;
  /** Owned from here on, and perhaps not open yet; undefined for none. */
  readonly spool: Spool | undefined;
  /** What the archive has of these sessions. */
  readonly findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  /** How long what was told may wait for its commit before it is spooled. */
  readonly waitMsMax: number;
  /** What the batcher may hold before what follows is spooled. */
  readonly directBytesMax: number;
  /** What may be held in memory altogether before `hasRoom` is false. */
  readonly memoryBytesMax: number;
  /** What may be held of what is committed. */
  readonly recentBytesMax: () => number;
  readonly nowMs: () => number;
  /** These messages are lost: the spool had no room for them, or they were damaged in it. */
  readonly onLoss: (loss: MessagesLost) => void;
  /** The spool cannot be used; undefined: it can be again. Told once per change. */
  readonly onSpool: (problem: BackcastError | undefined) => void;
  /** The batcher may have a batch. */
  readonly onWork: () => void;
  /** The archive has declared lost what is here. */
  readonly onHealing: (messages: MessagesDelivered, heardAtUs: number) => void;
}

/** What is known of sessions, for who follows them. */
export type HeardSessions = Pick<
  SessionLedger,
  'hasForgotten' | 'find' | 'recall' | 'recallForeign' | 'openSessions'
>;

/** Sequences that the archive has declared lost, both ends included. */
export interface ArchivedLoss {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** What somebody else has archived of a channel meanwhile. */
export interface ArchivedState {
  readonly head: number;
  /** Of the sessions that were asked about, those that the archive knows. */
  readonly sessions: readonly SessionProgress[];
  /** All that was declared since the last state, and is not healed. */
  readonly losses: readonly ArchivedLoss[];
}
