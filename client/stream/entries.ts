// What a segment stream tells, entry by entry. The messages of a run are reached by index and share
// the memory of the frame that brought them; everything else has the members of the lines in
// NDJSON, with instants as microseconds.

import type { Framing, LossCause, SessionId } from '#base/mod.ts';

/** Payloads and publish times, by index. */
export interface MessageBlock {
  /** Message `index` is the bytes [payloadStarts[index], payloadEnds[index]). */
  readonly bytes: Uint8Array;
  readonly payloadStarts: Uint32Array;
  readonly payloadEnds: Uint32Array;
  /** Microseconds since 1970 at which the publisher says it published each message. */
  readonly publishedAtUs: Float64Array;
}

/**
 * Messages of one session with consecutive positions and consecutive sequences, ascending; what is
 * stored has this shape too, and is encoded from it.
 */
export interface StreamRun {
  readonly kind: 'messages';
  readonly session: SessionId;
  /** The publisher's name; null if it told none. */
  readonly source: string | null;
  /** Its source is not of Backcast: its numbers begin anywhere, and may name no message. */
  readonly isForeign: boolean;
  readonly segment: MessageBlock;
  /** Of the first message within the segment. */
  readonly firstIndex: number;
  readonly firstPosition: number;
  readonly firstSequence: number;
  /** At least 1. */
  readonly messageCount: number;
  /** The last number accounted for: behind the last message may come some that name none. */
  readonly throughSequence: number;
  readonly archivedAtUs: number;
}

/** Where a session comes from. */
export type StreamOrigin = Pick<StreamRun, 'source' | 'isForeign'>;

/** What the answer is about. */
export interface StreamBegin {
  readonly kind: 'begin';
  readonly channel: string;
  readonly framing: Framing;
  readonly order: 'asc' | 'desc';
  /** The last position of the channel when the answer was begun. */
  readonly archivedThrough: number;
}

/** Sequences that the archive will not have. */
export interface StreamLoss {
  readonly kind: 'loss';
  readonly session: SessionId;
  readonly source: string | null;
  readonly first: number;
  readonly last: number;
  /** Packets of a foreign source; null where every number from first to last is a message. */
  readonly packets: number | null;
  readonly cause: LossCause;
  /** The position after which the messages would have come. */
  readonly afterPosition: number;
  readonly detectedAtUs: number;
  readonly declaredAtUs: number;
}

/** Sequences that were archived, and that a policy has deleted since. */
export interface StreamDeletion {
  readonly kind: 'deletion';
  readonly session: SessionId;
  readonly source: string | null;
  readonly first: number;
  readonly last: number;
  /** How many of them were messages; null where a foreign source's are cut. */
  readonly messages: number | null;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly deletedAtUs: number;
  readonly policy: string;
}

/** The words of StreamStatus. */
export const STREAM_STATUSES = ['complete', 'partial', 'deleted', 'unsettled', 'unknown'] as const;

/** Whether an answer, or a range of it, has all that was asked for. */
export type StreamStatus = (typeof STREAM_STATUSES)[number];

/** One of several ranges that were asked for has been told. */
export interface StreamRange {
  readonly kind: 'range';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly status: StreamStatus;
  /** The first number of it that is not told: it may still come, or nobody knows. Else null. */
  readonly untoldFrom: number | null;
}

/** How long an answer will take, as it looks just now. */
export interface StreamEstimate {
  readonly kind: 'estimate';
  /** Messages that this answer still has, at most. */
  readonly remaining: number;
  /** What this reader takes, in messages per second; null before anything is known. */
  readonly rate: number | null;
  /** How fast the channel grows meanwhile; null before anything is known. */
  readonly liveRate: number | null;
  /** Until the reader has caught up with the channel; null if it never will, at these rates. */
  readonly etaSeconds: number | null;
  /** False for a reader that takes less than what comes in. */
  readonly isCatchingUp: boolean;
}

/** The end of an answer; one without it was cut off. */
export interface StreamEnd {
  readonly kind: 'end';
  readonly status: StreamStatus;
  /** Messages in the answer. */
  readonly count: number;
  readonly lastPosition: number | null;
  readonly archivedThrough: number;
  /** Goes on behind this answer, also where it had everything; null for a fetch of ranges. */
  readonly cursor: string | null;
  /** Whether it stopped at its limit, with more behind it. */
  readonly hasMore: boolean;
  /** When to ask again for what is not archived yet; null where that is of no use. */
  readonly askAgainMs: number | null;
}

/** What is no stream of ours, and why; nothing comes behind it. */
export interface StreamMalformed {
  readonly kind: 'malformed';
  readonly reason: string;
}

/** What a stream tells, in the order of the answer. */
export type StreamEntry =
  | StreamBegin
  | StreamRun
  | StreamLoss
  | StreamDeletion
  | StreamRange
  | StreamEstimate
  | StreamEnd
  | StreamMalformed;
