// Where readings get their segments from: each by a fetch of its own, or, where many read at once,
// from what others have just fetched.

import type { Pool } from 'pg';
import { SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import type { ArchivedSegment } from './read-decode.ts';
import {
  FETCH_BYTES_MAX,
  fetchSegments,
  fetchSegmentsAt,
  type FetchStyle,
  type SegmentQuery,
  type SegmentsAtQuery,
} from './read-segments.ts';
import type { SegmentGroups } from './segment-groups.ts';
import { SegmentMemory } from './segment-memory.ts';
import type { Moment, SharedAnswer, SharedResults } from './shared-results.ts';

/** Fetches segments as fetchSegments and fetchSegmentsAt do. */
export interface SegmentSource {
  /** Their memory is held for the caller, who may let go of it. */
  fetch(query: SegmentQuery): Promise<ArchivedSegment[]>;
  /**
   * Begins to fetch what `query` will need, if there is a place to keep it that is nobody's and too
   * little of it is there.
   */
  prepare(query: SegmentQuery): void;
  fetchAt(query: SegmentsAtQuery): Promise<ArchivedSegment[]>;
}

/** Segments straight from `pool`. */
export function directSegments(pool: Pool): SegmentSource {
  return {
    fetch: (query) => fetchSegments(pool, query),
    prepare: () => undefined,
    fetchAt: (query) => fetchSegmentsAt(pool, query),
  };
}

/** The moment up to which a reader has seen the database; moves on with each of his answers. */
export interface Seen {
  since: Moment;
}

/** What a reader needs many messages for is fetched whole, for others too. */
const WIDE_MESSAGES_MIN = 1_000;
/**
 * What is fetched ahead by one statement, begun when no more than that waits: to begin a statement
 * takes the database longer than to read a segment.
 */
const AHEAD_BYTES = 4 * 1_048_576;
/** Who has had nothing fetched ahead for so long does not count among those who do. */
const AHEAD_MS_MAX = 1_000;
/** What readers have let go of within a moment, in a fetch or two of each. */
const SPARE_BYTES_MAX = 4 * 1_048_576;
/** With less room, what is fetched ahead would be forgotten before it is needed. */
const PREPARED_BYTES_MIN = 16 * 1_048_576;
/** Fetches of others that a reader waits for before his own. */
const WAITS_MAX = 3;

interface Flight {
  readonly query: SegmentQuery;
  /** Who begins so little behind it may wait for it: no more positions come. */
  readonly reach: number;
  readonly landed: Promise<unknown>;
}

/** The segments of one database, for all who read it. */
export class SharedSegments {
  readonly #pool: Pool;
  readonly #results: SharedResults;
  readonly #groups: SegmentGroups;
  readonly #memory = new SegmentMemory(SPARE_BYTES_MAX);
  readonly #flights = new Set<Flight>();
  /** For whom much was fetched ahead, and when last, in milliseconds. */
  readonly #ahead = new Map<Seen, number>();

  constructor(pool: Pool, results: SharedResults, groups: SegmentGroups) {
    this.#pool = pool;
    this.#results = results;
    this.#groups = groups;
  }

  /** The segments as one reader sees them. */
  seenBy(seen: Seen): SegmentSource {
    return {
      fetch: (query) => this.#fetch(query, seen),
      prepare: (query) => this.#prepare(query, seen),
      fetchAt: async (query) => {
        const ask = (): Promise<ArchivedSegment[]> => fetchSegmentsAt(this.#pool, query);
        const key = `at ${JSON.stringify(query)}`;
        return this.#taken(seen, this.#results.get({ key, ask, bytesOf }, seen.since));
      },
    };
  }

  async #fetch(query: SegmentQuery, seen: Seen): Promise<ArchivedSegment[]> {
    for (let wait = 0; ; wait += 1) {
      const { segments, rest } = this.#groups.find(query);
      if (segments.length > 0 || rest.first > rest.last) return held(segments);
      const wanted = { ...query, positions: rest };
      const flight = wait < WAITS_MAX ? this.#flightTo(wanted) : undefined;
      if (flight === undefined) return this.#fly(wanted, seen, FETCH_BYTES_MAX);
      await flight.landed;
    }
  }

  #prepare(query: SegmentQuery, seen: Seen): void {
    if (query.messagesMax < WIDE_MESSAGES_MIN) return;
    if (this.#groups.bytesMax < PREPARED_BYTES_MIN) return;
    const { segments, rest } = this.#groups.find(query, AHEAD_BYTES);
    const count = segments.reduce((sum, { messageCount }) => sum + messageCount, 0);
    if (count >= query.messagesMax || rest.first > rest.last) return;
    const wanted = { ...query, positions: rest };
    const isMoreKnown = this.#groups.find(wanted).segments.length > 0;
    if (isMoreKnown || this.#flightTo(wanted) !== undefined) return;
    // What fails here fails again for who needs it.
    this.#fly(wanted, seen, this.#bytesAhead(seen)).then(letGo, () => undefined);
  }

  /** What to fetch ahead for a reader: little, where many would make each other's forgotten. */
  #bytesAhead(seen: Seen): number {
    const nowMs = performance.now();
    for (const [reader, atMs] of this.#ahead) {
      if (nowMs - atMs > AHEAD_MS_MAX) this.#ahead.delete(reader);
    }
    const readersMax = this.#groups.bytesMax / (4 * AHEAD_BYTES);
    if (!this.#ahead.has(seen) && this.#ahead.size + 1 > readersMax) return FETCH_BYTES_MAX;
    this.#ahead.set(seen, nowMs);
    return AHEAD_BYTES;
  }

  /** A fetch under way that probably brings what `query` looks for. */
  #flightTo({ channelId, positions, published, order }: SegmentQuery): Flight | undefined {
    const cursor = order === 'asc' ? positions.first : positions.last;
    return [...this.#flights].find(({ query, reach }) => {
      if (query.channelId !== channelId || query.order !== order) return false;
      if (query.published !== undefined && !isSame(query.published, published)) return false;
      const begun = order === 'asc' ? query.positions.first : query.positions.last;
      const behind = order === 'asc' ? cursor - begun : begun - cursor;
      return behind >= 0 && behind < reach;
    });
  }

  async #fly(query: SegmentQuery, seen: Seen, bytesMax: number): Promise<ArchivedSegment[]> {
    const isWhole = query.messagesMax >= WIDE_MESSAGES_MIN;
    const wanted = isWhole ? { ...query, messagesMax: Number.MAX_SAFE_INTEGER } : query;
    const style = { memory: this.#memory, isWhole, bytesMax };
    const ask = (): Promise<ArchivedSegment[]> => this.#ask(wanted, style);
    const key = `${bytesMax} of ${JSON.stringify(wanted)}`;
    const question = { key, ask, bytesOf: () => undefined };
    const answer = this.#results.get(question, seen.since);
    const landed = answer.catch(() => undefined);
    const reach = SEGMENT_MESSAGES_MAX * Math.ceil(bytesMax / FETCH_BYTES_MAX);
    const flight = { query: wanted, reach, landed };
    if (isWhole) this.#flights.add(flight);
    try {
      return held(await this.#taken(seen, answer));
    } finally {
      this.#flights.delete(flight);
    }
  }

  async #ask(query: SegmentQuery, style: FetchStyle): Promise<ArchivedSegment[]> {
    const generation = this.#groups.generation;
    const segments = await fetchSegments(this.#pool, query, style);
    if (style.isWhole && generation === this.#groups.generation) {
      this.#groups.keep(query.channelId, segments, query.order);
    }
    // Whoever waits for this answer holds it within this turn of the loop.
    setImmediate(letGo, segments);
    return segments;
  }

  async #taken<Value>(seen: Seen, running: Promise<SharedAnswer<Value>>): Promise<Value> {
    const { value, finishedAt } = await running;
    seen.since = Math.max(seen.since, finishedAt);
    return value;
  }
}

/** `segments`, with one more who holds them. */
function held(segments: ArchivedSegment[]): ArchivedSegment[] {
  for (const { memory } of segments) memory?.hold();
  return segments;
}

/** For one who does not need `segments` any more. */
export function letGo(segments: readonly ArchivedSegment[]): void {
  for (const { memory } of segments) memory?.letGo();
}

function isSame(
  one: NonNullable<SegmentQuery['published']>,
  other: SegmentQuery['published'],
): boolean {
  return one.startUs === other?.startUs && one.endUs === other.endUs;
}

function bytesOf(segments: readonly ArchivedSegment[]): number {
  return segments.reduce(
    (sum, { bytes, messageCount }) => sum + bytes.length + messageCount * 16,
    0,
  );
}
