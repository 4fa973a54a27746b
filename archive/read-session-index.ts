// Finds the segments that hold sequences of a session. The sparse index `segment_sessions` is cut
// into days by `archived_at`, and nothing says which sequences lie in which day; but a session's
// sequences rise with the days, so the day is found by bisection, each step a look into one day.
// Asking all days at once costs a hundred milliseconds where a year is kept; this costs a handful
// of lookups. Healed sequences came later than their neighbours: their losses say when.

import { type RawBuilder, sql } from 'kysely';
import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchivedSession } from './read.ts';
import type { HealedRange } from './read-losses.ts';
import { archivedInterval, type PartitionBounds } from './read-partitions.ts';
import type { ArchivedInterval } from './read-segments.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** One row of the index: which sequences of the session lie in which segment. */
export interface IndexEntry {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly firstPosition: number;
  readonly archivedAtUs: number;
}

/** Whose index, and the days of the channel in which it may lie. */
export interface SessionIndexOptions {
  readonly db: ArchiveDatabase;
  readonly channelId: number;
  readonly session: ArchivedSession;
  readonly partitions: readonly PartitionBounds[];
}

/** Index rows returned at once. */
const ENTRIES_MAX = 64;
/** How far the archiver's clock, which opens sessions, and the database's may disagree. */
const CLOCK_SKEW_US = 3_600_000_000;

/** The index of one session. Remembers the day it has come to: reading on costs no new search. */
export class SessionIndex {
  readonly #options: SessionIndexOptions;
  readonly #days: readonly ArchivedInterval[];
  #day: number | undefined;

  constructor(options: SessionIndexOptions) {
    this.#options = options;
    const openedAtUs = options.session.openedAtUs - CLOCK_SKEW_US;
    this.#days = options.partitions
      .map((partition) => archivedInterval([partition]))
      .filter((day) => day.endUs > openedAtUs)
      .toSorted((a, b) => a.startUs - b.startUs);
  }

  /**
   * The next index rows that reach into `sequences`, in `order`; none if there is none. Asked
   * again, it expects a range that begins behind what it returned, in the same order.
   */
  async entries(sequences: SequenceRange, order: 'asc' | 'desc'): Promise<IndexEntry[]> {
    const { first, last } = sequences;
    if (first > last) return [];
    this.#day ??= Math.max(0, await this.#dayOf(order === 'asc' ? first : last));
    while (this.#day >= 0 && this.#day < this.#days.length) {
      const found = await this.#entriesOfDay(this.#days[this.#day], sequences, order);
      if (found.length > 0) return found;
      const next = await this.#nextDay(this.#day, order);
      if (next === undefined) return [];
      const isBeyond = order === 'asc' ? next.firstSequence > last : next.lastSequence < first;
      if (isBeyond) return [];
      this.#day = this.#dayAt(next.archivedAtUs);
    }
    return [];
  }

  /**
   * The index rows of what was `healed`, in `order`: all, or as many as are returned at once. A row
   * that touches what was healed was committed with it as a whole.
   */
  async healedEntries(
    healed: readonly HealedRange[],
    order: 'asc' | 'desc',
  ): Promise<{ readonly entries: readonly IndexEntry[]; readonly isAll: boolean }> {
    const days = this.#days.filter(({ startUs, endUs }) =>
      healed.some(({ healedAtUs }) => healedAtUs >= startUs && healedAtUs < endUs),
    );
    if (days.length === 0) return { entries: [], isAll: true };
    const first = Math.min(...healed.map((range) => range.first));
    const last = Math.max(...healed.map((range) => range.last));
    const edge = sql`first_sequence <= ${first} ORDER BY first_sequence DESC`;
    const within = sql`is_healed AND first_sequence > ${first} AND first_sequence <= ${last}
      ORDER BY first_sequence ${sql.raw(order)}`;
    const atEdge = await this.#rows(this.#select(days, edge, 1));
    const behind = await this.#rows(this.#select(days, within, ENTRIES_MAX));
    const isAll = behind.length < ENTRIES_MAX;
    const found =
      order === 'asc' ? [...atEdge, ...behind] : isAll ? [...behind, ...atEdge] : behind;
    const entries = found.filter(({ firstSequence, lastSequence }) =>
      healed.some((range) => range.first <= lastSequence && range.last >= firstSequence),
    );
    return { entries, isAll };
  }

  /** The days in which `entries` lie. */
  daysOf(entries: readonly IndexEntry[]): ArchivedInterval[] {
    return this.#days.filter(({ startUs, endUs }) =>
      entries.some(({ archivedAtUs }) => archivedAtUs >= startUs && archivedAtUs < endUs),
    );
  }

  /** The last row of the session that is not of a heal; undefined if it has none. */
  async last(): Promise<IndexEntry | undefined> {
    return this.#nextDay(this.#days.length, 'desc');
  }

  async #entriesOfDay(
    day: ArchivedInterval,
    sequences: SequenceRange,
    order: 'asc' | 'desc',
  ): Promise<IndexEntry[]> {
    const { first, last } = sequences;
    const before = sql`NOT is_healed AND first_sequence <= ${first} ORDER BY first_sequence DESC`;
    const within = sql`NOT is_healed AND first_sequence > ${first} AND first_sequence <= ${last}
      ORDER BY first_sequence`;
    const rows =
      order === 'asc'
        ? await this.#rows(
            sql`${this.#select([day], before, 1)}
              UNION ALL ${this.#select([day], within, ENTRIES_MAX)}`,
          )
        : await this.#rows(
            this.#select(
              [day],
              sql`NOT is_healed AND first_sequence <= ${last} ORDER BY first_sequence DESC`,
              ENTRIES_MAX,
            ),
          );
    return rows.filter((entry) => entry.lastSequence >= first);
  }

  /** The latest day whose first sequence of the session is not beyond `sequence`; −1 if none is. */
  async #dayOf(sequence: number): Promise<number> {
    let found = -1;
    let start = 0;
    let end = this.#days.length;
    while (start < end) {
      const middle = Math.floor((start + end) / 2);
      const entry =
        (await this.#edge(middle, middle + 1, 'asc')) ?? (await this.#edge(middle + 1, end, 'asc'));
      if (entry === undefined || entry.firstSequence > sequence) {
        end = middle;
      } else {
        found = this.#dayAt(entry.archivedAtUs);
        start = found + 1;
      }
    }
    return found;
  }

  /** The nearest row in another day than `day`, looked for in ever wider steps. */
  async #nextDay(day: number, order: 'asc' | 'desc'): Promise<IndexEntry | undefined> {
    let start = order === 'asc' ? day + 1 : day - 1;
    let width = 1;
    while (start >= 0 && start < this.#days.length) {
      const end = order === 'asc' ? start + width : start - width;
      const entry =
        order === 'asc'
          ? await this.#edge(start, Math.min(end, this.#days.length), order)
          : await this.#edge(Math.max(end + 1, 0), start + 1, order);
      if (entry !== undefined) return entry;
      start = end;
      width *= 2;
    }
    return undefined;
  }

  /** The first row ('asc') or the last ('desc') of the days from `start` to before `end`. */
  async #edge(start: number, end: number, order: 'asc' | 'desc'): Promise<IndexEntry | undefined> {
    if (start >= end) return undefined;
    const days = { startUs: this.#days[start].startUs, endUs: this.#days[end - 1].endUs };
    const sorted = sql`NOT is_healed ORDER BY first_sequence ${sql.raw(order)}`;
    const rows = await this.#rows(this.#select([days], sorted, 1));
    return rows.at(0);
  }

  #dayAt(archivedAtUs: number): number {
    return this.#days.findLastIndex((day) => day.startUs <= archivedAtUs);
  }

  #rows(query: RawBuilder<unknown>): Promise<IndexEntry[]> {
    return rowsOf(sql<IndexEntry>`${query}`.execute(this.#options.db));
  }

  #select(
    days: readonly ArchivedInterval[],
    whereAndOrder: RawBuilder<unknown>,
    entriesMax: number,
  ): RawBuilder<IndexEntry> {
    const { channelId, session } = this.#options;
    const archived = days.map(
      ({ startUs, endUs }) =>
        sql`archived_at >= ${instantValue(startUs)} AND archived_at < ${instantValue(endUs)}`,
    );
    return sql<IndexEntry>`(SELECT first_sequence AS "firstSequence",
        last_sequence AS "lastSequence", first_position AS "firstPosition",
        archived_at AS "archivedAtUs"
      FROM segment_sessions
      WHERE channel_id = ${channelId} AND session_id = ${sessionKey(session.session)}
        AND (${sql.join(archived, sql` OR `)})
        AND ${whereAndOrder} LIMIT ${entriesMax})`;
  }
}
