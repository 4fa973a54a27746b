// Reads messages of one session in the order of their sequences, through the sparse index
// `segment_sessions`. Every sequence that is asked for and settled comes as a message or inside a
// loss; one that is neither means that history was dropped.

import type { Pool } from 'pg';
import { SEQUENCE_MAX, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession } from './read.ts';
import {
  interleave,
  lastSequenceOf,
  type MessageRun,
  type PageEntry,
  selectRuns,
} from './read-entries.ts';
import { lossesBySequence } from './read-losses.ts';
import {
  historyGone,
  makePage,
  type MessagePage,
  type MessageReading,
  type SequenceRequest,
  takeMessages,
  type Unsettled,
} from './read-page.ts';
import type { PartitionBounds } from './read-partitions.ts';
import { type ArchivedInterval, fetchSegmentsAt } from './read-segments.ts';
import { type IndexEntry, SessionIndex } from './read-session-index.ts';

/** What a reading by sequence has settled before its first page. */
export interface SequencePlan {
  readonly db: ArchiveDatabase;
  readonly pool: Pool;
  readonly channelId: number;
  readonly request: SequenceRequest;
  readonly archivedThrough: number;
  /** Sequences that the answer covers; empty if last < first. */
  readonly sequences: SequenceRange;
  readonly session: ArchivedSession;
  /** The days of the channel, read after `session`. */
  readonly partitions: readonly PartitionBounds[];
  readonly unsettled: Unsettled | undefined;
}

/** A reading of sequences, see MessageReading. */
export class SequenceReading implements MessageReading {
  readonly archivedThrough: number;
  readonly unsettled: Unsettled | undefined;
  readonly order: 'asc' | 'desc';
  readonly #plan: SequencePlan;
  readonly #index: SessionIndex;
  #rest: SequenceRange;

  constructor(plan: SequencePlan) {
    this.#plan = plan;
    this.#index = new SessionIndex(plan);
    this.#rest = plan.sequences;
    this.archivedThrough = plan.archivedThrough;
    this.unsettled = plan.unsettled;
    this.order = plan.request.order;
  }

  get resume(): SequenceRequest {
    const { request } = this.#plan;
    if (request.order === 'asc') return { ...request, first: this.#rest.first };
    return { ...request, last: this.#rest.last };
  }

  async nextPage(messagesMax: number): Promise<MessagePage> {
    const before = this.#rest;
    const entries = trimEntries(await this.#index.entries(before, this.order), before, messagesMax);
    const runs = await this.#fetchRuns(entries, messagesMax);
    const isLast = runs.length === 0 || this.#rest.first > this.#rest.last;
    const read = isLast ? before : difference(before, this.#rest, this.order);
    const { db, channelId, session } = this.#plan;
    const losses = await lossesBySequence(db, channelId, session, read);
    const page = interleave(runs, losses, lastSequenceOf, (loss) => loss.first - 1);
    this.#assertCovered(page, read);
    return makePage(page, this.order, isLast);
  }

  /**
   * The messages that `entries` point at, ascending; takes them, and what lies between, off the
   * rest.
   */
  async #fetchRuns(entries: readonly IndexEntry[], messagesMax: number): Promise<MessageRun[]> {
    if (entries.length === 0) return [];
    const { pool, channelId, request } = this.#plan;
    const segments = await fetchSegmentsAt(pool, {
      channelId,
      archived: archivedOf(entries),
      firstPositions: entries.map((entry) => entry.firstPosition),
      order: this.order,
    });
    const sequences = { session: request.session, ...this.#rest };
    const positions = { first: 1, last: SEQUENCE_MAX };
    const fetched = segments.flatMap((segment) => {
      const runs = selectRuns(segment, { positions, published: undefined, sequences });
      return this.order === 'asc' ? runs : runs.toReversed();
    });
    const { taken } = takeMessages(fetched, messagesMax, this.order);
    const end = taken.at(-1);
    if (end === undefined) throw this.#gone();
    if (this.order === 'asc') {
      this.#rest = { ...this.#rest, first: end.firstSequence + end.messageCount };
      return taken;
    }
    this.#rest = { ...this.#rest, last: end.firstSequence - 1 };
    return taken.toReversed();
  }

  #assertCovered(page: readonly PageEntry[], sequences: SequenceRange): void {
    let next = sequences.first;
    for (const entry of page) {
      const first = entry.kind === 'loss' ? entry.first : entry.firstSequence;
      if (first > next) throw this.#gone();
      next = entry.kind === 'loss' ? entry.last + 1 : first + entry.messageCount;
    }
    if (next <= sequences.last) throw this.#gone();
  }

  #gone(): Error {
    const { first, last } = this.#rest;
    return historyGone(
      `Messages within the sequences ${first} to ${last} of session ${this.#plan.request.session}`,
      'Ask for later sequences of this session, or read the channel by position.',
    );
  }
}

/**
 * Of `entries`, those that are needed for `messagesMax` messages if nothing between them is lost.
 */
function trimEntries(
  entries: readonly IndexEntry[],
  sequences: SequenceRange,
  messagesMax: number,
): readonly IndexEntry[] {
  let covered = 0;
  const end = entries.findIndex((entry) => {
    const isEnough = covered >= messagesMax;
    const first = Math.max(entry.firstSequence, sequences.first);
    covered += Math.min(entry.lastSequence, sequences.last) - first + 1;
    return isEnough;
  });
  return end === -1 ? entries : entries.slice(0, end);
}

function archivedOf(entries: readonly IndexEntry[]): ArchivedInterval {
  const instants = entries.map((entry) => entry.archivedAtUs);
  return { startUs: Math.min(...instants), endUs: Math.max(...instants) + 1 };
}

/** What a page took that left `after` of `before`. */
function difference(
  before: SequenceRange,
  after: SequenceRange,
  order: 'asc' | 'desc',
): SequenceRange {
  if (order === 'asc') return { first: before.first, last: after.first - 1 };
  return { first: after.last + 1, last: before.last };
}
