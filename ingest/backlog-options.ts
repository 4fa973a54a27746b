// What a backlog is made of: beside what it stands between, its bounds and what it tells its owner.

import type { BackcastError, SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesLost } from '#multicast/core/mod.ts';
import type { Batcher } from './batcher.ts';
import type { Spool } from './spool/mod.ts';

/** What a backlog is made of. */
export interface BacklogOptions {
  readonly batcher: Batcher;
  /** Owned from here on; undefined for none. */
  readonly spool: Spool | undefined;
  /** Opens it later, if it could not be opened; undefined if none is wanted. */
  readonly openSpool: (() => Promise<Spool>) | undefined;
  /** What the archive has of these sessions. */
  readonly findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  /** How long what was told may wait for its commit before it is spooled. */
  readonly waitMsMax: number;
  /** What the batcher may hold before what follows is spooled. */
  readonly directBytesMax: number;
  /** What may be held in memory altogether before `hasRoom` is false. */
  readonly memoryBytesMax: number;
  readonly nowMs: () => number;
  /** These messages are lost: the spool had no room for them, or they were damaged in it. */
  readonly onLoss: (loss: MessagesLost) => void;
  /** The spool cannot be used; undefined: it can be again. Told once per change. */
  readonly onSpool: (problem: BackcastError | undefined) => void;
  /** The batcher may have a batch. */
  readonly onWork: () => void;
}
