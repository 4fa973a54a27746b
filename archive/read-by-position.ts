// Reads messages in the order of the channel. Walks from day to day through the partition map, so
// that a fetch touches one partition, and places the losses between the messages. A position is
// never skipped: positions are dense, so a hole in what comes back means that history was dropped.

import type { Pool } from 'pg';
import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import {
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
  type MessagePage,
  type MessageReading,
  type PositionRequest,
  takeMessages,
  type Unsettled,
} from './read-page.ts';
import { nextStored, type PartitionBounds, partitionWindow } from './read-partitions.ts';
import { fetchSegments, type SegmentQuery } from './read-segments.ts';

/** What a reading by position has settled before its first page. */
export interface PositionPlan {
  readonly db: ArchiveDatabase;
  readonly pool: Pool;
  readonly channelId: number;
  readonly request: PositionRequest;
  readonly archivedThrough: number;
  /** Positions that the answer covers; empty if last < first. */
  readonly positions: SequenceRange;
  readonly partitions: readonly PartitionBounds[];
  readonly published: SegmentQuery['published'];
  /** The losses of an interval of publish times; undefined where they are read page by page. */
  readonly losses: readonly Loss[] | undefined;
  readonly unsettled: Unsettled | undefined;
}

/** A reading of positions, see MessageReading. */
export class PositionReading implements MessageReading {
  readonly archivedThrough: number;
  readonly unsettled: Unsettled | undefined;
  readonly order: 'asc' | 'desc';
  readonly #plan: PositionPlan;
  /** What has not been read yet. */
  #rest: SequenceRange;

  constructor(plan: PositionPlan) {
    this.#plan = plan;
    this.#rest = plan.positions;
    this.archivedThrough = plan.archivedThrough;
    this.unsettled = plan.unsettled;
    this.order = plan.request.order;
  }

  get resume(): PositionRequest {
    const { request } = this.#plan;
    if (request.order === 'asc') return { ...request, after: this.#rest.first - 1 };
    return { ...request, before: this.#rest.last + 1 };
  }

  async nextPage(messagesMax: number): Promise<MessagePage> {
    const before = this.#rest;
    let runs: MessageRun[] = [];
    while (runs.length === 0 && this.#rest.first <= this.#rest.last) {
      runs = await this.#fetchRuns(messagesMax);
    }
    const isLast = this.#rest.first > this.#rest.last;
    const losses = await this.#lossesOf(before, isLast);
    return makePage(this.#interleave(runs, losses), this.order, isLast);
  }

  /**
   * Reads on from one end of the rest, and takes what it has read, or found empty, off the rest.
   */
  async #fetchRuns(messagesMax: number): Promise<MessageRun[]> {
    const { pool, channelId, partitions, published, request } = this.#plan;
    const { order } = request;
    const window = partitionWindow(partitions, this.#rest, order);
    if (window === undefined) {
      this.#skipUnstored();
      return [];
    }
    const { archived, positions } = window;
    const query = { channelId, archived, positions, published, messagesMax, order };
    const segments = await fetchSegments(pool, query);
    const fetched = segments.flatMap((segment) => {
      const runs = selectRuns(segment, { positions, published, sequences: undefined });
      return order === 'asc' ? runs : runs.toReversed();
    });
    const { taken, isCut } = takeMessages(fetched, messagesMax, order);
    this.#assertDense(taken, positions);
    const end = isCut ? taken.at(-1) : segments.at(-1);
    this.#takeOff(end === undefined ? positions : reach(end, positions));
    return order === 'asc' ? taken : taken.toReversed();
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
    const { partitions, published } = this.#plan;
    const next = nextStored(partitions, this.#rest, this.order);
    if (published === undefined) throw this.#gone();
    if (next === undefined) this.#takeOff(this.#rest);
    else if (this.order === 'asc') this.#rest = { ...this.#rest, first: next };
    else this.#rest = { ...this.#rest, last: next };
  }

  #assertDense(runs: readonly MessageRun[], positions: SequenceRange): void {
    if (this.#plan.published !== undefined) return;
    const isAscending = this.order === 'asc';
    let next = isAscending ? positions.first : positions.last + 1;
    for (const run of runs) {
      const first = firstPositionOf(run);
      const end = first + run.messageCount;
      if ((isAscending ? first : end) !== next) throw this.#gone();
      next = isAscending ? end : first;
    }
    if (runs.length === 0) throw this.#gone();
  }

  #gone(): Error {
    const { first, last } = this.#rest;
    return historyGone(
      `Messages within the positions ${first} to ${last}`,
      'Ask the channel for firstPosition and begin after the position before it.',
    );
  }

  /** The edge before the first position belongs to the question, also when it holds no position. */
  async #lossesOf(before: SequenceRange, isLast: boolean): Promise<readonly Loss[]> {
    const all = placesBetween(before, this.#rest, this.order, isLast);
    const edge = this.#plan.positions.first - 1;
    const last = this.order === 'asc' ? all.last : Math.max(all.last, edge);
    const places = { first: Math.max(all.first, edge), last };
    if (places.first > places.last) return [];
    const { db, channelId, losses } = this.#plan;
    if (losses === undefined) return lossesByPlace(db, channelId, places);
    return losses.filter((loss) => {
      const place = this.#placeOf(loss);
      return place >= places.first && place <= places.last;
    });
  }

  #interleave(runs: readonly MessageRun[], losses: readonly Loss[]): PageEntry[] {
    return interleave(runs, losses, lastPositionOf, (loss) => this.#placeOf(loss));
  }

  /**
   * Within an interval of publish times, a loss from outside its positions stands at their edge.
   */
  #placeOf(loss: Loss): number {
    const { first, last } = this.#plan.positions;
    return Math.max(first - 1, Math.min(loss.afterPosition, Math.max(first - 1, last)));
  }
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
