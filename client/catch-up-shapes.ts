// The words of catching up: where it may be, what it asks for, and what it is made of.

import type { MergeOptions } from './merge.ts';
import type { ReplayEnd, ReplayEntry, ReplayStart, SessionRange } from './replay-source.ts';
import type { SessionId } from '#base/mod.ts';

/** Where a subscription is between the archive and the live stream; see catch-up. */
export type CatchUpState = 'starting' | 'replaying' | 'mending' | 'live' | 'following' | 'failed';

/** Read on from a place, or follow what comes in behind it. */
export type Reading =
  | { readonly kind: 'open'; readonly start: ReplayStart }
  | { readonly kind: 'tail'; readonly afterPosition: number };

/** What of a reading has its place. */
export type PlacedEntry = Exclude<ReplayEntry, ReplayEnd>;

/** Fetch what is missing. */
export interface Fetching {
  readonly kind: 'fetch';
  readonly ranges: readonly SessionRange[];
}

/** Ask where the archive stands with these sessions, and others. */
export interface Standing {
  readonly kind: 'stand';
  readonly sessions: readonly SessionId[];
}

/** What catching up is made of. */
export interface CatchUpOptions extends MergeOptions {
  /** Where to read first; undefined to begin with what is said now. */
  readonly start: ReplayStart | undefined;
  /** Whether anything is heard live. */
  readonly hasMulticast: boolean;
  /** How long the archive may be waited for without anything moving. */
  readonly stallMs: number;
  /** What then becomes of messages that the archive should bring: an error, or lost. */
  readonly whenStalled: 'fail' | 'lose';
}
