// Reads messages of one session in the order of their sequences, through the sparse index
// `segment_sessions`. Every sequence that is asked for and settled comes as a message, belongs to
// one as a number that names none itself, or lies inside a loss; one that is none of these means
// that history was dropped.

import type { Pool } from 'pg';
import { type Framing, SEQUENCE_MAX, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession } from './read.ts';
import {
  coveredSequences,
  interleave,
  lastSequenceOf,
  type Loss,
  type MessageRun,
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
  readonly framing: Framing;
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
    const { db, session } = this.#plan;
    const found = await this.#index.entries(before, this.order);
    const entries = trimEntries(found, before, { messagesMax, isDense: !session.isForeign });
    const { runs, covered } = await this.#fetchRuns(entries, messagesMax);
    const isLast = entries.length === 0 || this.#rest.first > this.#rest.last;
    const read = isLast ? before : difference(before, this.#rest, this.order);
    const losses = await lossesBySequence(db, this.#plan, session, read);
    this.#assertCovered([...covered, ...losses], read);
    const page = interleave(runs, losses, lastSequenceOf, (loss) => loss.first - 1);
    return makePage(page, this.order, isLast);
  }

  /**
   * The messages that `entries` point at, ascending, and the numbers that their segments account
   * for; takes them, and what lies between, off the rest.
   */
  async #fetchRuns(
    entries: readonly IndexEntry[],
    messagesMax: number,
  ): Promise<{ readonly runs: MessageRun[]; readonly covered: SequenceRange[] }> {
    if (entries.length === 0) return { runs: [], covered: [] };
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
    const { taken, isCut } = takeMessages(fetched, messagesMax, this.order);
    const held = new Set(segments.map(({ firstPosition }) => firstPosition));
    const read = entries.filter(({ firstPosition }) => held.has(firstPosition));
    if (read.length === 0) throw this.#gone();
    this.#takeOff(isCut ? taken[taken.length - 1] : undefined, read);
    return {
      runs: this.order === 'asc' ? taken : taken.toReversed(),
      covered: segments.flatMap((segment) => coveredSequences(segment, sequences)),
    };
  }

  /** Takes off the rest what `read` holds, or what lies up to `end` if the page ends there. */
  #takeOff(end: MessageRun | undefined, read: readonly IndexEntry[]): void {
    if (this.order === 'asc') {
      const last = end?.throughSequence ?? Math.max(...read.map((entry) => entry.lastSequence));
      this.#rest = { ...this.#rest, first: last + 1 };
    } else {
      const first = end?.firstSequence ?? Math.min(...read.map((entry) => entry.firstSequence));
      this.#rest = { ...this.#rest, last: first - 1 };
    }
  }

  /** Each number of `sequences` lies in one of `ranges`, which may reach beyond. */
  #assertCovered(ranges: readonly (SequenceRange | Loss)[], sequences: SequenceRange): void {
    let next = sequences.first;
    for (const { first, last } of ranges.toSorted((one, other) => one.first - other.first)) {
      if (first > next) break;
      next = Math.max(next, last + 1);
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
 * Of `entries`, those that are needed for `messagesMax` messages if nothing between them is lost;
 * where not every number is a message, an entry is only known to hold one.
 */
function trimEntries(
  entries: readonly IndexEntry[],
  sequences: SequenceRange,
  wanted: { readonly messagesMax: number; readonly isDense: boolean },
): readonly IndexEntry[] {
  let covered = 0;
  const end = entries.findIndex((entry) => {
    const isEnough = covered >= wanted.messagesMax;
    const first = Math.max(entry.firstSequence, sequences.first);
    covered += wanted.isDense ? Math.min(entry.lastSequence, sequences.last) - first + 1 : 1;
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
