// What a recovering subscriber needs of an archive, whoever brings it: read on from a place, fetch
// what is missing, follow what comes in, and say where each session stands. Not how that travels
// (HTTP), nor what is done with it (catch-up, merge).
//
// Every call may fail with a BackcastError. One that `isRetryable` means that the archive is away
// or busy for now, or has not got that far; BACKCAST_HISTORY_GONE that messages are gone of which
// no deletion tells; BACKCAST_ARCHIVE_REWOUND that it ends before where a reading is to begin;
// BACKCAST_CHANNEL_UNKNOWN that it never heard of the channel. Whatever is not retryable is final.
// An iteration that ends without its `end` has failed.

import type { LossCause, SessionId } from '#base/mod.ts';

/** Messages of one session with consecutive positions and consecutive sequences. */
export interface ReplayedRun {
  readonly kind: 'messages';
  readonly session: SessionId;
  /** The publisher's name; null if it told none. */
  readonly source: string | null;
  readonly firstPosition: number;
  readonly firstSequence: number;
  /** At least 1. */
  readonly messageCount: number;
  /** The last sequence accounted for: that of the last message, or later in a foreign session. */
  readonly throughSequence: number;
  readonly archivedAtUs: number;
  /**
   * Its source is not of Backcast: its numbers begin anywhere. If not given, it is one that begins
   * beyond 2^31: numbers made of packet numbers do.
   */
  readonly isForeign?: boolean;
  /** By index of the message, in microseconds. */
  readonly publishedAtUs: ArrayLike<number>;
  /** By index of the message: where its payload ends in `payloads`. */
  readonly payloadEnds: ArrayLike<number>;
  /** By index: where it begins. If not given, where the one before ends. */
  readonly payloadStarts?: ArrayLike<number>;
  /** All payloads in order; theirs who read them. */
  readonly payloads: Uint8Array;
}

/** Sequences that the archive will not have, where they lie. */
export interface ReplayedLoss {
  readonly kind: 'loss';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly cause: LossCause;
  /** As of a run. */
  readonly isForeign?: boolean;
}

/** Sequences that were archived, and that a policy has deleted since. */
export interface ReplayedDeletion {
  readonly kind: 'deletion';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
}

/** All positions through `archivedThrough` have been told. */
export interface ReplayEnd {
  readonly kind: 'end';
  readonly archivedThrough: number;
}

/** A session began or ended, as the archive knows it. */
export interface ReplayedSession {
  readonly kind: 'session';
  readonly session: SessionId;
  readonly source: string | null;
  readonly state: 'open' | 'closed' | 'expired';
}

/** Sequences that were asked for and that the archive cannot tell of yet: ask again. */
export interface UnsettledRange {
  readonly kind: 'unsettled';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
}

/** Sequences that it never will tell of: the publisher fell silent before it heard them. */
export interface UnknownRange {
  readonly kind: 'unknown';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
}

/** What a reading tells, in the order of positions; the `end` last, and once. */
export type ReplayEntry = ReplayedRun | ReplayedLoss | ReplayedDeletion | ReplayEnd;

/** What a fetch tells: each sequence asked for, once, in order within each range; `end` last. */
export type FetchedEntry =
  | ReplayedRun
  | ReplayedLoss
  | ReplayedDeletion
  | UnsettledRange
  | UnknownRange
  | { readonly kind: 'end' };

/** What a tail tells; an `end` says through where it has come, as often as it likes. */
export type TailEntry = ReplayEntry | ReplayedSession;

/** Sequences of one session, both ends included. */
export interface SessionRange {
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
}

/** Where a reading begins. */
export type ReplayStart =
  /** Behind this position; 0 for all that is kept. */
  | { readonly afterPosition: number }
  /** With what was published at this instant or later. */
  | { readonly publishedFromUs: number };

/** How far the archive is with one session. */
export interface SessionStand {
  readonly session: SessionId;
  /** The publisher's name, where it is known. */
  readonly source?: string | undefined;
  /** Every sequence through here is stored, lost or deleted; 0 if none is. */
  readonly watermark: number;
  readonly state: 'open' | 'closed' | 'expired';
}

/** Where the archive stands. */
export interface ArchiveStand {
  /** The last position; looked up before `sessions`, which may therefore be ahead of it. */
  readonly archivedThrough: number;
  /**
   * Every session that is open or began within the last hour, and of the others those that were
   * asked for. One that the archive never heard is left out.
   */
  readonly sessions: readonly SessionStand[];
}

/** An archive of one channel, to recover from. Calls may overlap; signals end them at once. */
export interface ReplaySource {
  /** Everything from `start` to where the archive stands now. Pulling is the back-pressure. */
  open(start: ReplayStart, signal: AbortSignal): AsyncIterable<ReplayEntry>;
  /** What there is of `ranges`, which do not overlap. */
  fetch(ranges: readonly SessionRange[], signal: AbortSignal): AsyncIterable<FetchedEntry>;
  /**
   * What is archived behind `afterPosition`, as it comes, until the signal. Fails, retryably, when
   * the reader falls too far behind: then a new `open` reads what it missed.
   */
  tail(afterPosition: number, signal: AbortSignal): AsyncIterable<TailEntry>;
  /** Where the archive stands; see ArchiveStand for of which sessions. */
  stand(sessions: readonly SessionId[], signal: AbortSignal): Promise<ArchiveStand>;
}
