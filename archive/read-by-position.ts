// Reads messages in the order of the channel. Walks from day to day through the partition map, so
// that a fetch touches one partition, and places losses and deletions between the messages. A
// position is never skipped: positions are dense, so a hole in what comes back has been deleted by
// a policy, which is told, or was dropped by hand, which is an error.

import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { deletedStretch, deletionsByTime } from './read-deletions.ts';
import {
  type Deletion,
  firstPositionOf,
  interleave,
  lastPositionOf,
  type Loss,
  type MessageRun,
  type PageEntry,
  selectRuns,
} from './read-entries.ts';
import { lossesByPlace } from './read-losses.ts';
import {
  historyGone,
  makePage,
  MISSING_ATTEMPTS_MAX,
  type MessagePage,
  type MessageReading,
  type PositionRequest,
  takeMessages,
  type Unsettled,
} from './read-page.ts';
import {
  loadPartitionBounds,
  nextStored,
  type PartitionBounds,
  partitionWindow,
} from './read-partitions.ts';
import type { ArchivedSegment } from './read-decode.ts';
import type { SegmentQuery } from './read-segments.ts';
import { letGo, type SegmentSource } from './segment-source.ts';

/** After so many deletions a page ends, also without a message. */
const PAGE_DELETIONS_TARGET = 1_000;
/** Losses are shared by so many positions: some pages, and few losses even where many are lost. */
const STRIDE_POSITIONS = 16_384;

/** What a reading by position has settled before its first page. */
export interface PositionPlan {
  readonly db: ArchiveDatabase;
  readonly source: SegmentSource;
  readonly channelId: number;
  readonly request: PositionRequest;
  readonly archivedThrough: number;
  /** Positions that the answer covers; empty if last < first. */
  readonly positions: SequenceRange;
  readonly partitions: readonly PartitionBounds[];
  readonly published: SegmentQuery['published'];
  /** The losses of an interval of publish times; undefined where they are read page by page. */
  readonly losses: readonly Loss[] | undefined;
  /** Where losses are read page by page and others read them too. */
  readonly settled: SettledLosses | undefined;
  readonly unsettled: Unsettled | undefined;
}

/** Answers to who settled on a moment when the head was read. */
export interface SettledLosses {
  /** Of what lies before the head. */
  readonly past: ArchiveDatabase;
  /** Of all of it. */
  readonly present: ArchiveDatabase;
}

/** A reading of positions, see MessageReading. */
export class PositionReading implements MessageReading {
  readonly archivedThrough: number;
  readonly unsettled: Unsettled | undefined;
  readonly order: 'asc' | 'desc';
  readonly #plan: PositionPlan;
  #partitions: readonly PartitionBounds[];
  /** What has not been read yet. */
  #rest: SequenceRange;
  #missingAttempts = 0;
  /** The deletions that were told already and reach beyond what has been read. */
  #told: readonly Deletion[] = [];
  /** What the page that is being read is made of. */
  #held: ArchivedSegment[] = [];

  constructor(plan: PositionPlan) {
    this.#plan = plan;
    this.#partitions = plan.partitions;
    this.#rest = plan.positions;
    this.archivedThrough = plan.archivedThrough;
    this.unsettled = plan.unsettled;
    this.order = plan.request.order;
  }

  get remaining(): number {
    return Math.max(0, this.#rest.last - this.#rest.first + 1);
  }

  get resume(): PositionRequest {
    const { request } = this.#plan;
    const { first, last } = this.#rest;
    const isAscending = request.order === 'asc';
    const seenThrough = Math.min(isAscending ? first - 1 : last, this.archivedThrough);
    return {
      ...request,
      ...(isAscending ? { after: first - 1 } : { before: last + 1 }),
      seenThrough,
    };
  }

  async nextPage(messagesMax: number): Promise<MessagePage> {
    const before = this.#rest;
    const early = this.#lossesEarly(messagesMax);
    const deletions: Deletion[] = [];
    let runs: MessageRun[] = [];
    while (
      runs.length === 0 &&
      deletions.length < PAGE_DELETIONS_TARGET &&
      this.#rest.first <= this.#rest.last
    ) {
      const rest = this.#rest;
      const fetched = await this.#fetchRuns(messagesMax);
      runs = fetched.runs;
      deletions.push(...this.#untold(fetched.deletions ?? (await this.#deletionsSince(rest))));
    }
    const isLast = this.#rest.first > this.#rest.last;
    const losses = await this.#lossesOf(before, isLast, early);
    const entries = this.#interleave(runs, [...losses, ...deletions]);
    const held = this.#held;
    this.#held = [];
    return { ...makePage(entries, this.order, isLast), letGo: () => letGo(held) };
  }

  prepare(messagesMax: number): void {
    const query = this.#nextQuery(messagesMax);
    if (query !== undefined) this.#plan.source.prepare(query);
  }

  /** Undefined if no day holds the next position. */
  #nextQuery(messagesMax: number): SegmentQuery | undefined {
    const { channelId, published, request } = this.#plan;
    const { order } = request;
    const window = partitionWindow(this.#partitions, this.#rest, order);
    return window && { channelId, ...window, published, messagesMax, order };
  }

  /**
   * Reads on from one end of the rest, and takes what it has read, or found empty or deleted, off
   * the rest.
   */
  async #fetchRuns(messagesMax: number): Promise<Fetched> {
    const { source, published, request } = this.#plan;
    const { order } = request;
    const query = this.#nextQuery(messagesMax);
    if (query === undefined) {
      if (published === undefined) return this.#passDeleted();
      this.#skipUnstored();
      return { runs: [], deletions: undefined };
    }
    const { positions } = query;
    const segments = await source.fetch(query);
    this.#held.push(...segments);
    const fetched = segments.flatMap((segment) => {
      const runs = selectRuns(segment, { positions, published, sequences: undefined });
      return order === 'asc' ? runs : runs.toReversed();
    });
    const found = takeMessages(fetched, messagesMax, order);
    const taken = published === undefined ? densePart(found.taken, positions, order) : found.taken;
    if (published === undefined && taken.length === 0) return this.#passDeleted();
    const isCut = found.isCut || taken.length < found.taken.length;
    const end = isCut ? taken.at(-1) : segments.at(-1);
    this.#takeOff(end === undefined ? positions : reach(end, positions));
    this.#missingAttempts = 0;
    return { runs: order === 'asc' ? taken : taken.toReversed(), deletions: undefined };
  }

  #takeOff(read: SequenceRange): void {
    if (this.order === 'asc') this.#rest = { ...this.#rest, first: read.last + 1 };
    else this.#rest = { ...this.#rest, last: read.first - 1 };
  }

  /**
   * No day holds the next position: with an interval of publish times that is how days are left
   * out.
   */
  #skipUnstored(): void {
    const next = nextStored(this.#partitions, this.#rest, this.order);
    if (next === undefined) this.#takeOff(this.#rest);
    else if (this.order === 'asc') this.#rest = { ...this.#rest, first: next };
    else this.#rest = { ...this.#rest, last: next };
  }

  /** The next position is not there: it has been deleted, or moves to another place just now. */
  async #passDeleted(): Promise<Fetched> {
    const { db, channelId } = this.#plan;
    const found = await deletedStretch(db, channelId, this.#rest, this.order);
    if (found !== undefined) {
      this.#takeOff(found.positions);
      this.#missingAttempts = 0;
      return { runs: [], deletions: found.deletions };
    }
    this.#missingAttempts += 1;
    if (this.#missingAttempts === MISSING_ATTEMPTS_MAX) throw this.#gone();
    this.#partitions = await loadPartitionBounds(db, channelId);
    return { runs: [], deletions: [] };
  }

  /**
   * Of an interval of publish times nothing shows what is missing: what was passed since `before`
   * is looked up, after it was read.
   */
  async #deletionsSince(before: SequenceRange): Promise<readonly Deletion[]> {
    const { db, channelId, published } = this.#plan;
    if (published === undefined) return [];
    const passed =
      this.order === 'asc'
        ? { first: before.first, last: this.#rest.first - 1 }
        : { first: this.#rest.last + 1, last: before.last };
    return deletionsByTime(db, channelId, passed, published);
  }

  #untold(deletions: readonly Deletion[]): readonly Deletion[] {
    const told = new Set(this.#told.map(keyOf));
    const untold = deletions.filter((deletion) => !told.has(keyOf(deletion)));
    const { first, last } = this.#rest;
    this.#told = [...this.#told, ...untold].filter(
      ({ firstPosition, lastPosition }) => lastPosition >= first && firstPosition <= last,
    );
    return untold;
  }

  #gone(): Error {
    const { first, last } = this.#rest;
    return historyGone(
      `Messages within the positions ${first} to ${last}`,
      'Ask the channel for firstPosition and begin after the position before it.',
    );
  }

  /**
   * For who reads little: the losses where the page ends at the latest, asked for together with its
   * messages.
   */
  #lossesEarly(messagesMax: number): EarlyLosses | undefined {
    const { db, channelId, losses: known, archivedThrough } = this.#plan;
    if (known !== undefined || messagesMax >= STRIDE_POSITIONS) return undefined;
    const { first, last } = this.#rest;
    const places =
      this.order === 'asc'
        ? { first: first - 1, last: Math.min(last, first + messagesMax - 1) }
        : { first: Math.max(first - 1, last - messagesMax), last };
    const losses = lossesByPlace(db, channelId, places, archivedThrough);
    // Felt where it is awaited, if the page gets that far.
    losses.catch(() => undefined);
    return { places, losses };
  }

  /** The edge before the first position belongs to the question, also when it holds no position. */
  async #lossesOf(
    before: SequenceRange,
    isLast: boolean,
    early: EarlyLosses | undefined,
  ): Promise<readonly Loss[]> {
    const all = placesBetween(before, this.#rest, this.order, isLast);
    const edge = this.#plan.positions.first - 1;
    const last = this.order === 'asc' ? all.last : Math.max(all.last, edge);
    const places = { first: Math.max(all.first, edge), last };
    if (places.first > places.last) return [];
    const { losses } = this.#plan;
    if (losses === undefined) return this.#declaredWithin(places, early);
    return losses.filter((loss) => {
      const place = this.#placeOf(loss);
      return place >= places.first && place <= places.last;
    });
  }

  /** The losses at `places`; who reads on gets them from what he shares with others. */
  async #declaredWithin(
    places: SequenceRange,
    early: EarlyLosses | undefined,
  ): Promise<readonly Loss[]> {
    if (early !== undefined && isWithin(places, early.places)) {
      return lossesWithin(await early.losses, places);
    }
    const { channelId, settled, archivedThrough } = this.#plan;
    if (settled === undefined || early !== undefined) {
      return lossesByPlace(this.#plan.db, channelId, places, archivedThrough);
    }
    const strides = stridesOf(places);
    // Nothing more is lost before the stride in which the archive ends.
    const { first: end } = stridesOf({ first: archivedThrough, last: archivedThrough });
    const past = { first: strides.first, last: Math.min(strides.last, end - 1) };
    const present = { first: Math.max(strides.first, end), last: strides.last };
    const losses = [
      ...(await lossesByPlace(settled.past, channelId, past, archivedThrough)),
      ...(await lossesByPlace(settled.present, channelId, present, archivedThrough)),
    ];
    return lossesWithin(losses, places);
  }

  #interleave(runs: readonly MessageRun[], missing: readonly (Loss | Deletion)[]): PageEntry[] {
    const placed = missing
      .map((one) => ({ one, place: this.#placeOf(one) }))
      .toSorted((one, other) => one.place - other.place);
    const places = new Map(placed.map(({ one, place }) => [one, place]));
    return interleave(runs, [...places.keys()], lastPositionOf, (one) => places.get(one) ?? 0);
  }

  /**
   * Within an interval of publish times, a loss from outside its positions stands at their edge.
   */
  #placeOf(one: Loss | Deletion): number {
    const { first, last } = this.#plan.positions;
    const place = one.kind === 'loss' ? one.afterPosition : one.firstPosition - 1;
    return Math.max(first - 1, Math.min(place, Math.max(first - 1, last)));
  }
}

/** `places`, made wider to whole strides, so that readers whose pages differ ask the same. */
function stridesOf({ first, last }: SequenceRange): SequenceRange {
  return {
    first: Math.floor(first / STRIDE_POSITIONS) * STRIDE_POSITIONS,
    last: (Math.floor(last / STRIDE_POSITIONS) + 1) * STRIDE_POSITIONS - 1,
  };
}

/** Losses that were asked for before it was known which belong to the page. */
interface EarlyLosses {
  readonly places: SequenceRange;
  readonly losses: Promise<readonly Loss[]>;
}

function isWithin(one: SequenceRange, other: SequenceRange): boolean {
  return one.first >= other.first && one.last <= other.last;
}

function lossesWithin(losses: readonly Loss[], { first, last }: SequenceRange): readonly Loss[] {
  return losses.filter(({ afterPosition }) => afterPosition >= first && afterPosition <= last);
}

/** What one step of reading found; `deletions` is undefined where they are to be looked up. */
interface Fetched {
  readonly runs: MessageRun[];
  readonly deletions: readonly Deletion[] | undefined;
}

function keyOf({ session, first }: Deletion): string {
  return `${session}/${first}`;
}

/** Of `runs`, those that follow each other without a hole from the end of `positions` on. */
function densePart(
  runs: readonly MessageRun[],
  positions: SequenceRange,
  order: 'asc' | 'desc',
): MessageRun[] {
  const isAscending = order === 'asc';
  let next = isAscending ? positions.first : positions.last + 1;
  const count = runs.findIndex((run) => {
    const first = firstPositionOf(run);
    const end = first + run.messageCount;
    const isBehindHole = (isAscending ? first : end) !== next;
    next = isAscending ? end : first;
    return isBehindHole;
  });
  return count === -1 ? [...runs] : runs.slice(0, count);
}

/** How far into `positions` a page reaches that ends with `end`. */
function reach(
  end: MessageRun | { readonly firstPosition: number; readonly messageCount: number },
  positions: SequenceRange,
): SequenceRange {
  const first = 'kind' in end ? firstPositionOf(end) : end.firstPosition;
  const last = first + end.messageCount - 1;
  return { first: Math.max(first, positions.first), last: Math.min(last, positions.last) };
}

/**
 * The places of losses that belong to a page which took `before` down to `after`. A loss after
 * position P comes with position P + 1, in both orders; the last page also has those at its own
 * end.
 */
function placesBetween(
  before: SequenceRange,
  after: SequenceRange,
  order: 'asc' | 'desc',
  isLast: boolean,
): SequenceRange {
  if (order === 'asc') {
    return { first: before.first - 1, last: isLast ? after.first - 1 : after.first - 2 };
  }
  return { first: isLast ? after.last : after.last + 1, last: before.last };
}
