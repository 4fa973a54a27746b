// Where readings get their segments from: each by a fetch of its own, or, where many read at once,
// from what others have just fetched.

import type { Pool } from 'pg';
import type { ArchivedSegment } from './read-decode.ts';
import {
  fetchSegments,
  fetchSegmentsAt,
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
  /** Begins to fetch what `query` will need, if there is a place to keep it that is nobody's. */
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
/** A fetch is worth waiting for by who begins so little behind it: a segment holds no more. */
const REACH_POSITIONS = 4_096;
/** What readers have let go of within a moment, in a fetch or two of each. */
const SPARE_BYTES_MAX = 4 * 1_048_576;
/** With less room, what is fetched ahead would be forgotten before it is needed. */
const PREPARED_BYTES_MIN = 16 * 1_048_576;
/** Fetches of others that a reader waits for before his own. */
const WAITS_MAX = 3;

interface Flight {
  readonly query: SegmentQuery;
  readonly landed: Promise<unknown>;
}

/** The segments of one database, for all who read it. */
export class SharedSegments {
  readonly #pool: Pool;
  readonly #results: SharedResults;
  readonly #groups: SegmentGroups;
  readonly #memory = new SegmentMemory(SPARE_BYTES_MAX);
  readonly #flights = new Set<Flight>();

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
      if (flight === undefined) return this.#fly(wanted, seen);
      await flight.landed;
    }
  }

  #prepare(query: SegmentQuery, seen: Seen): void {
    if (this.#groups.bytesMax < PREPARED_BYTES_MIN) return;
    const { segments, rest } = this.#groups.find(query);
    const wanted = { ...query, positions: rest };
    if (segments.length > 0 || rest.first > rest.last || this.#flightTo(wanted)) return;
    // What fails here fails again for who needs it.
    this.#fly(wanted, seen).then(letGo, () => undefined);
  }

  /** A fetch under way that probably brings what `query` looks for. */
  #flightTo({ channelId, positions, published, order }: SegmentQuery): Flight | undefined {
    const cursor = order === 'asc' ? positions.first : positions.last;
    return [...this.#flights].find(({ query }) => {
      if (query.channelId !== channelId || query.order !== order) return false;
      if (query.published !== undefined && !isSame(query.published, published)) return false;
      const begun = order === 'asc' ? query.positions.first : query.positions.last;
      const behind = order === 'asc' ? cursor - begun : begun - cursor;
      return behind >= 0 && behind < REACH_POSITIONS;
    });
  }

  async #fly(query: SegmentQuery, seen: Seen): Promise<ArchivedSegment[]> {
    const isWhole = query.messagesMax >= WIDE_MESSAGES_MIN;
    const wanted = isWhole ? { ...query, messagesMax: Number.MAX_SAFE_INTEGER } : query;
    const ask = (): Promise<ArchivedSegment[]> => this.#ask(wanted, isWhole);
    const question = { key: `of ${JSON.stringify(wanted)}`, ask, bytesOf: () => undefined };
    const answer = this.#results.get(question, seen.since);
    const landed = answer.catch(() => undefined);
    const flight = { query: wanted, landed };
    if (isWhole) this.#flights.add(flight);
    try {
      return held(await this.#taken(seen, answer));
    } finally {
      this.#flights.delete(flight);
    }
  }

  async #ask(query: SegmentQuery, isWhole: boolean): Promise<ArchivedSegment[]> {
    const generation = this.#groups.generation;
    const segments = await fetchSegments(this.#pool, query, { memory: this.#memory, isWhole });
    if (isWhole && generation === this.#groups.generation) {
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
