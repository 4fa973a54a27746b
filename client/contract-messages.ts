// What the replay API answers about messages.
// Written by replay-api/write-client-types.ts; do not edit.

import type { LossCause } from '#base/mod.ts';
import type { ProblemCode } from './contract-service.ts';

/** A message of the archive. */
export interface Message {
  readonly kind: 'message';
  /** Its place in the channel. */
  readonly position: number;
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** Its number within the session. */
  readonly sequence: number;
  /** When its publisher says it published it; when it arrived, in framings that do not say. */
  readonly publishedAt: string;
  /** When the database had it for good. */
  readonly archivedAt: string;
  /**
   * utf8: `payload` is the text whose bytes were published. base64: the bytes are no UTF-8. json:
   * the bytes are JSON and `payload` is that, which is only done with `decode=json`.
   */
  readonly encoding?: 'utf8' | 'base64' | 'json';
  /** A text, or with `decode=json` any JSON. */
  readonly payload?: unknown;
  /** The parts of the message, only on a channel of the framing zmq; it has no `payload`. */
  readonly parts?: readonly {
    /**
     * utf8: `payload` is the text whose bytes were published. base64: the bytes are no UTF-8. json:
     * the bytes are JSON and `payload` is that, which is only done with `decode=json`.
     */
    readonly encoding: 'utf8' | 'base64' | 'json';
    /** A text, or with `decode=json` any JSON. */
    readonly payload: unknown;
  }[];
}

/** Sequences that were given up, where they lie among the messages. */
export interface Loss {
  readonly kind: 'loss';
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** The first lost sequence. */
  readonly first: number;
  /** The last lost sequence. */
  readonly last: number;
  /**
   * How many packets of a foreign source these sequences are: nobody knows how many messages they
   * held. null: every sequence from `first` to `last` is a lost message.
   */
  readonly packets: number | null;
  /**
   * Why. repair_expired: The publisher no longer held the packets when they were asked for, or
   * resent them too late. source_gone: The publisher fell silent before the missing packets could
   * be repaired. recorder_overrun: The archiver itself could not keep up and had to let messages
   * go. spool_full: PostgreSQL was away for longer than the spool had room for. late_join: The
   * messages were published before the archiver first heard this session. resync: The packet
   * numbers jumped beyond any window, or the archive went back and nobody has them. corrupt: The
   * packets arrived, but what they held could not be read. unauthenticated: Packets of the
   * publisher arrived while these were missing, but without a valid tag.
   */
  readonly cause: LossCause;
  /** The position after which the messages would have come. */
  readonly afterPosition: number;
  /** When the archiver noticed. */
  readonly detectedAt: string;
  /** When it gave up. */
  readonly declaredAt: string;
}

/** Sequences that were archived, and that a policy has deleted since. */
export interface Deletion {
  readonly kind: 'deletion';
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** The first deleted sequence. */
  readonly first: number;
  /** The last deleted sequence. */
  readonly last: number;
  /** How many messages these sequences were; null where a range cuts those of a foreign source. */
  readonly messages: number | null;
  /** From here */
  readonly firstPosition: number;
  /** to here every position was deleted, of this session or of others. */
  readonly lastPosition: number;
  /** Nothing of it was published before this instant, */
  readonly publishedFrom: string;
  /** or after this one. */
  readonly publishedThrough: string;
  /** When it was deleted. */
  readonly deletedAt: string;
  /** By which policy. */
  readonly policy: string;
}

/** One of several ranges has been told. */
export interface Range {
  readonly kind: 'range';
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** As it was asked for. */
  readonly first: number;
  /** As it was asked for. */
  readonly last: number;
  /**
   * complete: everything that was asked for is here. partial: what is missing is lost, and named.
   * deleted: some of it was archived and has been deleted by a policy, which is named, as is what
   * is lost. unsettled: the archive has not got that far, ask again. unknown: the publisher fell
   * silent before the end of the range; whether it published more, nobody knows.
   */
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  /**
   * The first sequence of the range that is not told: where `status` is unsettled, it may still
   * come. null: the whole range is.
   */
  readonly untoldFrom: number | null;
}

/** How long a stream will take, told in it now and then. */
export interface Estimate {
  readonly kind: 'estimate';
  /** Messages still to come, at most. */
  readonly remaining: number;
  /** Messages per second that this reader takes; null before that is known. */
  readonly rate: number | null;
  /** Messages per second that are archived meanwhile; null before it is known. */
  readonly liveRate: number | null;
  /**
   * Until the reader has all, also what is archived until then; null if that is not known, or
   * never.
   */
  readonly etaSeconds: number | null;
  /** false: at these rates the reader never reaches what is archived last. */
  readonly isCatchingUp: boolean;
}

/** The end of a stream; one without it was cut off. */
export interface End {
  readonly kind: 'end';
  /** Whether `status` is "complete". */
  readonly complete: boolean;
  /**
   * complete: everything that was asked for is here. partial: what is missing is lost, and named.
   * deleted: some of it was archived and has been deleted by a policy, which is named, as is what
   * is lost. unsettled: the archive has not got that far, ask again. unknown: the publisher fell
   * silent before the end of the range; whether it published more, nobody knows.
   */
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  /** Messages in this answer. */
  readonly count: number;
  /** Of the last message in this answer. */
  readonly lastPosition: number | null;
  /** The last position of the channel when the answer was begun; 0 if nothing is archived. */
  readonly archivedThrough: number;
  /** Goes on behind this answer, also where it ends: then with what comes later. */
  readonly cursor: string | null;
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
  /** Of what is not archived yet: after so many milliseconds asking again is worth it. */
  readonly askAgainMs: number | null;
}

/** A page of messages. */
export interface MessagePage {
  readonly channel: string;
  /**
   * complete: everything that was asked for is here. partial: what is missing is lost, and named.
   * deleted: some of it was archived and has been deleted by a policy, which is named, as is what
   * is lost. unsettled: the archive has not got that far, ask again. unknown: the publisher fell
   * silent before the end of the range; whether it published more, nobody knows.
   */
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  /** The last position of the channel when the answer was begun; 0 if nothing is archived. */
  readonly archivedThrough: number;
  readonly items: readonly Message[];
  /** What is lost among the items of this page, in their order. */
  readonly losses: readonly Loss[];
  /**
   * What a policy has deleted among them. One that reaches over the end of the page is named on the
   * next one again.
   */
  readonly deletions: readonly Deletion[];
  /** Messages behind this page, at most. */
  readonly remaining: number;
  /** Goes on behind this answer, also where it ends: then with what comes later. */
  readonly cursor: string;
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
  /** Of what is not archived yet: after so many milliseconds asking again is worth it. */
  readonly askAgainMs: number | null;
}

/**
 * One JSON object per line: messages, losses and deletions where they lie, and an end. With
 * `estimate=true` now and then an estimate; of a fetch, a range behind each range.
 */
export type MessageLine = Message | Loss | Deletion | Range | Estimate | End;

/** A session of a publisher began, ended, or is not heard any more. */
export interface SessionChange {
  readonly kind: 'session';
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /**
   * open: told before its first message, and of every open session when a tail gets live. closed:
   * its publisher said goodbye. expired: it fell silent. Both come behind its last message.
   */
  readonly state: 'open' | 'closed' | 'expired';
}

/** What a tail does from here on. */
export interface TailState {
  readonly kind: 'state';
  /**
   * replaying: what follows is history, up to `archivedThrough`. live: what follows is sent as soon
   * as it is archived. away: the database does not answer; the tail goes on when it does. rewound:
   * the archive ends before `after` or Last-Event-ID; a server took over that lacks the last
   * commits, and positions behind `position` are given out anew.
   */
  readonly state: 'replaying' | 'live' | 'away' | 'rewound';
  /** The reader has everything up to here. */
  readonly position: number;
  /** The archive has everything up to here. */
  readonly archivedThrough: number;
}

/** The server ends a tail. */
export interface TailEnd {
  readonly kind: 'end';
  /** The reader has everything up to here. */
  readonly position: number;
  /** Why; null if the server stops. */
  readonly code: ProblemCode | null;
  /** The same for people. */
  readonly detail: string;
}

/**
 * Server-sent events. The line `event` of each names the `kind` of the object in its line `data`:
 * message, loss, deletion, session, state, end. The line `id` is the position up to which the
 * reader has everything.
 */
export type TailFrame = Message | Loss | Deletion | SessionChange | TailState | TailEnd;
