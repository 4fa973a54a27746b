// Reads messages of one session in the order of their sequences, through the sparse index
// `segment_sessions`. Every sequence that is asked for and settled comes as a message, belongs to
// one as a number that names none itself, or lies inside a loss or a deletion; one that is none of
// these means that history was dropped by hand.

import { type Framing, SEQUENCE_MAX, type SequenceRange, type SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession } from './read.ts';
import type { ArchivedSegment } from './read-decode.ts';
import {
  coveredSequences,
  type Deletion,
  interleave,
  lastSequenceOf,
  type MessageRun,
  selectRuns,
} from './read-entries.ts';
import { deletionsBySequence } from './read-deletions.ts';
import { cutLosses, type HealedRange, lossesAndHeals } from './read-losses.ts';
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
import { type IndexEntry, SessionIndex } from './read-session-index.ts';
import type { SegmentSource } from './segment-source.ts';

/** What a reading by sequence has settled before its first page. */
export interface SequencePlan {
  readonly db: ArchiveDatabase;
  readonly source: SegmentSource;
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

  /** `index` is that of an earlier reading of the session, whose range lay before. */
  constructor(plan: SequencePlan, index: SessionIndex = new SessionIndex(plan)) {
    this.#plan = plan;
    this.#index = index;
    this.#rest = plan.sequences;
    this.archivedThrough = plan.archivedThrough;
    this.unsettled = plan.unsettled;
    this.order = plan.request.order;
  }

  get remaining(): number {
    return Math.max(0, this.#rest.last - this.#rest.first + 1);
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
    const { db, framing, session } = this.#plan;
    const straight = await this.#index.entries(before, this.order);
    const within = reachOf(straight, before, this.order);
    const { losses, healed } = await lossesAndHeals(db, this.#plan, session, within);
    const found = await this.#withHealed(straight, healed);
    const entries = trimEntries(found, before, { messagesMax, isDense: !session.isForeign });
    const fetched = await this.#fetchRuns(entries, messagesMax);
    if (fetched === undefined) return undefined;
    const { runs, covered } = fetched;
    const isLast = entries.length === 0 || this.#rest.first > this.#rest.last;
    const read = isLast ? before : difference(before, this.#rest, this.order);
    const lost = cutLosses(losses, read, session.isForeign ? framing : undefined);
    const deletions = await this.#deletionsOf([...covered, ...lost], read);
    if (deletions === undefined) return undefined;
    const missing = [...lost, ...deletions].toSorted((one, other) => one.first - other.first);
    const page = interleave(runs, missing, lastSequenceOf, ({ first }) => first - 1);
    return makePage(page, this.order, isLast);
  }

  async #withHealed(
    straight: readonly IndexEntry[],
    healed: readonly HealedRange[],
  ): Promise<readonly IndexEntry[]> {
    if (healed.length === 0) return straight;
    const { entries, isAll } = await this.#index.healedEntries(healed, this.order);
    const all = [...straight, ...entries].toSorted((a, b) => a.firstSequence - b.firstSequence);
    const ordered = this.order === 'asc' ? all : all.toReversed();
    const end = isAll ? undefined : entries.at(-1);
    return end === undefined ? ordered : ordered.slice(0, ordered.indexOf(end) + 1);
  }

  /**
   * The messages that `entries` point at, ascending, and the numbers that they account for; takes
   * them, and what lies between, off the rest. Undefined if all of them are gone.
   */
  async #fetchRuns(
    entries: readonly IndexEntry[],
    messagesMax: number,
  ): Promise<{ readonly runs: MessageRun[]; readonly covered: SequenceRange[] } | undefined> {
    if (entries.length === 0) return { runs: [], covered: [] };
    const { source, channelId } = this.#plan;
    const segments = await source.fetchAt({
      channelId,
      archived: this.#index.daysOf(entries),
      firstPositions: entries.map((entry) => entry.firstPosition),
    });
    const held = heldEntries(entries, segments);
    if (held.length === 0) return undefined;
    const parts = held.map(({ entry, segment }) => {
      const first = Math.max(entry.firstSequence, this.#rest.first);
      const last = Math.min(entry.lastSequence, this.#rest.last);
      return { segment, sequences: { session: this.#plan.request.session, first, last } };
    });
    const fetched = parts.flatMap(({ segment, sequences }) => {
      const runs = runsBySequence(segment, sequences);
      return this.order === 'asc' ? runs : runs.toReversed();
    });
    const { taken, isCut } = takeMessages(fetched, messagesMax, this.order);
    this.#takeOff(
      isCut ? taken[taken.length - 1] : undefined,
      held.map(({ entry }) => entry),
    );
    return {
      runs: this.order === 'asc' ? taken : taken.toReversed(),
      covered: parts.flatMap(({ segment, sequences }) => coveredSequences(segment, sequences)),
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

/** How far into `sequences` the index rows `entries` reach; without any, all is known. */
function reachOf(
  entries: readonly IndexEntry[],
  sequences: SequenceRange,
  order: 'asc' | 'desc',
): SequenceRange {
  const end = entries.at(-1);
  if (end === undefined) return sequences;
  const { first, last } = sequences;
  if (order === 'asc') return { first, last: Math.min(last, end.lastSequence) };
  return { first: Math.max(first, end.firstSequence), last };
}

/** Of `entries`, the ones before the first whose segment is not among `segments`. */
function heldEntries(
  entries: readonly IndexEntry[],
  segments: readonly ArchivedSegment[],
): { readonly entry: IndexEntry; readonly segment: ArchivedSegment }[] {
  const found = new Map(segments.map((segment) => [segment.firstPosition, segment]));
  const held: { readonly entry: IndexEntry; readonly segment: ArchivedSegment }[] = [];
  for (const entry of entries) {
    const segment = found.get(entry.firstPosition);
    if (segment === undefined) break;
    held.push({ entry, segment });
  }
  return held;
}

/** Healed messages may stand behind later ones in their segment. */
function runsBySequence(
  segment: ArchivedSegment,
  sequences: SequenceRange & { readonly session: SessionId },
): MessageRun[] {
  const positions = { first: 1, last: SEQUENCE_MAX };
  const runs = selectRuns(segment, { positions, published: undefined, sequences });
  return runs.toSorted((one, other) => one.firstSequence - other.firstSequence);
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
