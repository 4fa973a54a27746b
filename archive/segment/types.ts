// A segment as a value: what a row of the archive holds, before it is written and after it was
// read.

import type { SessionId } from '#base/mod.ts';

/** Consecutive positions that hold consecutive sequences of one session. */
export interface SegmentRun {
  readonly session: SessionId;
  readonly firstSequence: number;
  /** Messages, at least 1. */
  readonly length: number;
  /**
   * The last number that the run accounts for: that of its last message, or a later one where the
   * numbers in between name no message.
   */
  readonly lastSequence: number;
}

/**
 * Messages at consecutive positions of one channel, as PostgreSQL stores them. The two fields are
 * the binary forms of `bytea[]` and `timestamptz[]`: written by SegmentBuilder, read in
 * read-decode.ts, passed through by everybody in between.
 */
export interface Segment {
  readonly firstPosition: number;
  readonly messageCount: number;
  /** Sum of the payloads' lengths. */
  readonly payloadBytes: number;
  /** In the order of positions; their lengths add up to messageCount. */
  readonly runs: readonly SegmentRun[];
  /** Whether every run ends with its last message. */
  readonly isDense: boolean;
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
  readonly payloadField: Uint8Array;
  readonly publishedAtField: Uint8Array;
}
