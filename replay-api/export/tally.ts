// Counts what has been exported: in all, and by session. Goes on from what was counted before an
// interruption, so it can be written down and read back at the end of any part.

import { firstPositionOf, type MessageRun, payloadBytesOf } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { SequenceRanges } from './sequence-ranges.ts';
import type { ExportedSession, ExportedTotals } from './types.ts';

interface SessionTally {
  readonly source: string | null;
  messages: number;
  readonly sequences: SequenceRanges;
}

/** Of no messages. */
export const NO_MESSAGES: ExportedTotals = {
  count: 0,
  payloadBytes: 0,
  firstPosition: null,
  lastPosition: null,
  publishedFromUs: null,
  publishedThroughUs: null,
};

/** What has been counted. */
export class Tally {
  #totals: ExportedTotals;
  readonly #sessions: Map<SessionId, SessionTally>;

  constructor(totals: ExportedTotals, sessions: readonly ExportedSession[]) {
    this.#totals = totals;
    this.#sessions = new Map(
      sessions.map(({ session, source, messages, sequences }) => [
        session,
        { source, messages, sequences: new SequenceRanges(sequences) },
      ]),
    );
  }

  get totals(): ExportedTotals {
    return this.#totals;
  }

  /** In the order in which each was first met. */
  get sessions(): ExportedSession[] {
    return [...this.#sessions].map(([session, { source, messages, sequences }]) => ({
      session,
      source,
      messages,
      sequences: sequences.ranges,
    }));
  }

  /** The source of a session that was counted before; undefined if it was not. */
  sourceOf(session: SessionId): string | null | undefined {
    return this.#sessions.get(session)?.source;
  }

  /** Counts the messages of `run`, which come behind all that were counted. */
  add(run: MessageRun, source: string | null): void {
    const { count, payloadBytes, firstPosition } = this.#totals;
    const first = firstPositionOf(run);
    const published = publishedWithin(run);
    this.#totals = {
      count: count + run.messageCount,
      payloadBytes: payloadBytes + payloadBytesOf(run),
      firstPosition: firstPosition ?? first,
      lastPosition: first + run.messageCount - 1,
      publishedFromUs: Math.min(this.#totals.publishedFromUs ?? Infinity, published.fromUs),
      publishedThroughUs: Math.max(
        this.#totals.publishedThroughUs ?? -Infinity,
        published.throughUs,
      ),
    };
    const session = this.#sessions.get(run.session) ?? {
      source,
      messages: 0,
      sequences: new SequenceRanges(),
    };
    session.messages += run.messageCount;
    session.sequences.add(run.firstSequence, run.throughSequence);
    this.#sessions.set(run.session, session);
  }
}

function publishedWithin({ segment, firstIndex, messageCount }: MessageRun): {
  readonly fromUs: number;
  readonly throughUs: number;
} {
  let fromUs = Infinity;
  let throughUs = -Infinity;
  for (let index = firstIndex; index < firstIndex + messageCount; index += 1) {
    fromUs = Math.min(fromUs, segment.publishedAtUs[index]);
    throughUs = Math.max(throughUs, segment.publishedAtUs[index]);
  }
  return { fromUs, throughUs };
}
