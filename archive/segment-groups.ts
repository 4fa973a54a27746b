// Keeps segments that were read, for those who come to the same positions. Which message has a
// position never changes, so that what is kept is right for as long as the position is stored; that
// it is, every reader knows from the map of days that he read when he came. A segment is given only
// to who looks in the day in which it was stored, and a segment that has been merged into another
// since is still the same messages. Does not read anything itself.

import { LRUCache } from 'lru-cache';
import type { SequenceRange } from '#base/mod.ts';
import { type ArchivedSegment, memoryOf } from './read-decode.ts';
import { FETCH_BYTES_MAX, type SegmentQuery } from './read-segments.ts';

/** Segments at consecutive positions that were read together. */
interface Group extends SequenceRange {
  readonly channelId: number;
  readonly segments: readonly KeptSegment[];
}

interface KeptSegment {
  readonly segment: ArchivedSegment;
  readonly lastPosition: number;
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
}

/** What is kept of a query, and what of it is not known: to be read, or empty if last < first. */
export interface Kept {
  readonly segments: ArchivedSegment[];
  readonly rest: SequenceRange;
}

/** What a policy has deleted is given to nobody after so long, however long he has been reading. */
const KEPT_MS_MAX = 30_000;
/** Beside its messages, what a segment costs. */
const SEGMENT_BYTES = 1_024;

/** The segments of one database. */
export class SegmentGroups {
  readonly #groups: LRUCache<Group, Group>;
  #generation = 0;
  /** By channel, ascending: none within another, so that where they begin and end, both ascend. */
  readonly #ordered = new Map<number, Group[]>();

  /** Keeps at most `bytesMax` bytes. */
  constructor(bytesMax: number) {
    this.#groups = new LRUCache({
      maxSize: bytesMax,
      ttl: KEPT_MS_MAX,
      sizeCalculation: bytesOf,
      dispose: (group) => {
        this.#drop(group);
        for (const { segment } of group.segments) segment.memory?.letGo();
      },
    });
  }

  /** How often everything was forgotten. */
  get generation(): number {
    return this.#generation;
  }

  /** The most that is kept, in bytes. */
  get bytesMax(): number {
    return this.#groups.maxSize;
  }

  /** Memory that is held, in bytes. */
  get bytes(): number {
    return this.#groups.calculatedSize;
  }

  /**
   * The next segments of `query` without a hole, in its order: as many as a fetch of `bytesMax`
   * would bring, or those up to where nothing is known.
   */
  find(query: SegmentQuery, bytesMax = FETCH_BYTES_MAX): Kept {
    const isAscending = query.order === 'asc';
    const segments: ArchivedSegment[] = [];
    let rest = query.positions;
    let bytes = 0;
    while (rest.first <= rest.last) {
      const found = this.#segmentsAt(query, isAscending ? rest.first : rest.last);
      if (found.length === 0) break;
      for (const kept of found) {
        const { segment, lastPosition } = kept;
        if (isTouched(kept, query.published)) {
          bytes += memoryOf(segment);
          if (bytes > bytesMax && segments.length > 0) return { segments, rest };
          segments.push(segment);
        }
        if (isAscending) rest = { first: lastPosition + 1, last: rest.last };
        else rest = { first: rest.first, last: segment.firstPosition - 1 };
      }
    }
    return { segments, rest };
  }

  /** Keeps those of `segments`, in the order of a query, that follow each other without a hole. */
  keep(channelId: number, segments: readonly ArchivedSegment[], order: 'asc' | 'desc'): void {
    const ascending = order === 'asc' ? segments : segments.toReversed();
    const from = order === 'asc' ? 0 : ascending.findLastIndex(isBehindHole);
    const until = order === 'asc' ? ascending.findIndex(isBehindHole) : -1;
    const dense = ascending.slice(Math.max(from, 0), until === -1 ? undefined : until);
    if (dense.length === 0) return;
    const kept = dense.map(toKept);
    const { segment } = kept[0];
    this.#insert({
      channelId,
      first: segment.firstPosition,
      last: kept[kept.length - 1].lastPosition,
      segments: kept,
    });
  }

  /** Forgets everything. */
  clear(): void {
    this.#generation += 1;
    this.#groups.clear();
  }

  /** From the one that holds `cursor` on, in the order of `query`, what its group has. */
  #segmentsAt(query: SegmentQuery, cursor: number): readonly KeptSegment[] {
    const groups = this.#ordered.get(query.channelId) ?? [];
    const group = groups[lastIndexAt(groups, cursor)];
    if (group === undefined || group.last < cursor || !this.#groups.get(group)) return [];
    const { positions, archived, order } = query;
    const ahead =
      order === 'asc'
        ? group.segments.filter(
            ({ segment, lastPosition }) =>
              lastPosition >= cursor && segment.firstPosition <= positions.last,
          )
        : group.segments
            .filter(
              ({ segment, lastPosition }) =>
                segment.firstPosition <= cursor && lastPosition >= positions.first,
            )
            .toReversed();
    const other = ahead.findIndex(
      ({ segment: { archivedAtUs } }) =>
        archivedAtUs < archived.startUs || archivedAtUs >= archived.endUs,
    );
    return other === -1 ? ahead : ahead.slice(0, other);
  }

  #insert(group: Group): void {
    const groups = this.#ordered.get(group.channelId) ?? [];
    const before = groups[lastIndexAt(groups, group.first)];
    if (before !== undefined && before.last >= group.last) return;
    for (const within of groups.filter(({ first, last }) => isWithin({ first, last }, group))) {
      this.#groups.delete(within);
    }
    const remaining = this.#ordered.get(group.channelId) ?? [];
    remaining.splice(lastIndexAt(remaining, group.first) + 1, 0, group);
    this.#ordered.set(group.channelId, remaining);
    this.#groups.set(group, group);
    if (this.#groups.has(group)) for (const { segment } of group.segments) segment.memory?.hold();
    else this.#drop(group);
  }

  #drop(group: Group): void {
    const groups = this.#ordered.get(group.channelId) ?? [];
    const index = groups.indexOf(group);
    if (index !== -1) groups.splice(index, 1);
    if (groups.length === 0) this.#ordered.delete(group.channelId);
  }
}

/** The last of `groups` that begins at `position` or before; −1 if none does. */
function lastIndexAt(groups: readonly Group[], position: number): number {
  let start = 0;
  let end = groups.length;
  while (start < end) {
    const middle = Math.floor((start + end) / 2);
    if (groups[middle].first <= position) start = middle + 1;
    else end = middle;
  }
  return start - 1;
}

function isWithin(one: SequenceRange, other: SequenceRange): boolean {
  return one.first >= other.first && one.last <= other.last;
}

function isBehindHole(
  segment: ArchivedSegment,
  index: number,
  segments: readonly ArchivedSegment[],
): boolean {
  if (index === 0) return false;
  const { firstPosition, messageCount } = segments[index - 1];
  return firstPosition + messageCount !== segment.firstPosition;
}

function toKept(segment: ArchivedSegment): KeptSegment {
  let minPublishedAtUs = Number.POSITIVE_INFINITY;
  let maxPublishedAtUs = Number.NEGATIVE_INFINITY;
  for (const us of segment.publishedAtUs) {
    if (us < minPublishedAtUs) minPublishedAtUs = us;
    if (us > maxPublishedAtUs) maxPublishedAtUs = us;
  }
  const lastPosition = segment.firstPosition + segment.messageCount - 1;
  return { segment, lastPosition, minPublishedAtUs, maxPublishedAtUs };
}

function isTouched(
  { minPublishedAtUs, maxPublishedAtUs }: KeptSegment,
  published: SegmentQuery['published'],
): boolean {
  if (published === undefined) return true;
  return maxPublishedAtUs >= published.startUs && minPublishedAtUs < published.endUs;
}

function bytesOf({ segments }: Group): number {
  return segments.reduce((sum, { segment }) => sum + memoryOf(segment) + SEGMENT_BYTES, 0);
}
