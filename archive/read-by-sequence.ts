// Reads messages of one session in the order of their sequences, through the sparse index
// `segment_sessions`. Every sequence that is asked for and settled comes as a message, belongs to
// one as a number that names none itself, or lies inside a loss or a deletion; one that is none of
// these means that history was dropped by hand.

import type { Pool } from 'pg';
import { type Framing, SEQUENCE_MAX, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession } from './read.ts';
import {
  coveredSequences,
  type Deletion,
  interleave,
  lastSequenceOf,
  type MessageRun,
  selectRuns,
} from './read-entries.ts';
import { deletionsBySequence } from './read-deletions.ts';
import { lossesBySequence } from './read-losses.ts';
import {
  historyGone,
  makePage,
  MISSING_ATTEMPTS_MAX,
  type MessagePage,
  type MessageReading,
  type SequenceRequest,
  takeMessages,
  type Unsettled,
} from './read-page.ts';
import { loadPartitionBounds, type PartitionBounds } from './read-partitions.ts';
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
  #index: SessionIndex;
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
    for (let attempt = 1; attempt <= MISSING_ATTEMPTS_MAX; attempt += 1) {
      const page = await this.#readPage(messagesMax);
      if (page !== undefined) return page;
      this.#rest = before;
      const { db, channelId } = this.#plan;
      const partitions = await loadPartitionBounds(db, channelId);
      this.#index = new SessionIndex({ ...this.#plan, partitions });
    }
    throw this.#gone();
  }

  /** Undefined if something was missing that is not known to be lost or deleted. */
  async #readPage(messagesMax: number): Promise<MessagePage | undefined> {
    const before = this.#rest;
    const { db, session } = this.#plan;
    const found = await this.#index.entries(before, this.order);
    const entries = trimEntries(found, before, { messagesMax, isDense: !session.isForeign });
    const fetched = await this.#fetchRuns(entries, messagesMax);
    if (fetched === undefined) return undefined;
    const { runs, covered } = fetched;
    const isLast = entries.length === 0 || this.#rest.first > this.#rest.last;
    const read = isLast ? before : difference(before, this.#rest, this.order);
    const losses = await lossesBySequence(db, this.#plan, session, read);
    const deletions = await this.#deletionsOf([...covered, ...losses], read);
    if (deletions === undefined) return undefined;
    const missing = [...losses, ...deletions].toSorted((one, other) => one.first - other.first);
    const page = interleave(runs, missing, lastSequenceOf, ({ first }) => first - 1);
    return makePage(page, this.order, isLast);
  }

  /**
   * The messages that `entries` point at, ascending, and the numbers that their segments account
   * for; takes them, and what lies between, off the rest. Undefined if all of them are gone.
   */
  async #fetchRuns(
    entries: readonly IndexEntry[],
    messagesMax: number,
  ): Promise<{ readonly runs: MessageRun[]; readonly covered: SequenceRange[] } | undefined> {
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
    if (read.length === 0) return undefined;
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

  /**
   * The deletions among `sequences`, of which `ranges` account for what is stored or lost.
   * Undefined if not everything is accounted for even so.
   */
  async #deletionsOf(
    ranges: readonly SequenceRange[],
    sequences: SequenceRange,
  ): Promise<readonly Deletion[] | undefined> {
    if (isCovered(ranges, sequences)) return [];
    const { db, session } = this.#plan;
    const deletions = await deletionsBySequence(db, this.#plan, session, sequences);
    return isCovered([...ranges, ...deletions], sequences) ? deletions : undefined;
  }

  #gone(): Error {
    const { first, last } = this.#rest;
    return historyGone(
      `Messages within the sequences ${first} to ${last} of session ${this.#plan.request.session}`,
      'Ask for later sequences of this session, or read the channel by position.',
    );
  }
}

/** Whether each number of `sequences` lies in one of `ranges`, which may reach beyond. */
function isCovered(ranges: readonly SequenceRange[], sequences: SequenceRange): boolean {
  let next = sequences.first;
  for (const { first, last } of ranges.toSorted((one, other) => one.first - other.first)) {
    if (first > next) break;
    next = Math.max(next, last + 1);
  }
  return next > sequences.last;
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
