// One database, read by many at once: who reads the same as others takes part in their reads. What
// never changes, the messages at their positions, is kept for a while; of all else a reader gets
// answers to statements that were started after he came, and each not before he had the one before,
// so that he sees what he would have seen alone. What is kept is forgotten whenever a connection
// ends: behind the next one may be another server, which has taken over.

import type { QueryResult } from 'kysely';
import type { PoolClient } from 'pg';
import { askedDatabase } from './asked-database.ts';
import type { ArchiveDatabase, OpenDatabase } from './connect.ts';
import { SegmentGroups } from './segment-groups.ts';
import { type Seen, type SegmentSource, SharedSegments } from './segment-source.ts';
import { type Question, SharedResults } from './shared-results.ts';

/** What reading messages needs of an open database. */
export interface ReadDatabase extends Pick<OpenDatabase, 'database' | 'pool'> {
  /** How this reader shares his reads with others; undefined if he reads alone. */
  readonly shared?: SharedView;
}

/** What one reader shares with others. */
export interface SharedView {
  readonly segments: SegmentSource;
  /**
   * A database for what may be as old as this call: what was committed before is seen, and for as
   * long as the reader reads, answers that others got since serve him too; and those that others
   * got before who had settled on the same `version`, a text that changes with what is asked for.
   */
  settled(version: string): ArchiveDatabase;
}

/** A database whose readers share what they read. Disposing lets go of the pool. */
export interface SharedReads extends Disposable {
  /** For one reader who comes now. */
  begin(): Required<ReadDatabase>;
  readonly counts: SharedReadCounts;
}

/** What sharing has saved. */
export interface SharedReadCounts {
  /** Questions of readers that segments at hand did not answer. */
  readonly asked: number;
  /** Statements that the database was sent for them. */
  readonly started: number;
  /** Memory that is held for segments, in bytes. */
  readonly segmentBytes: number;
}

/** The part of the memory that is for everything but segments: rows are few and small. */
const ROWS_SHARE = 1 / 8;
/** What a row holds, about. */
const ROW_BYTES = 256;

/** Shares what is read of `opened`, which stays the caller's; keeps at most `bytesMax` bytes. */
export function shareReads(opened: OpenDatabase, bytesMax: number): SharedReads {
  const { pool, database } = opened;
  const results = new SharedResults(bytesMax * ROWS_SHARE);
  const groups = new SegmentGroups(bytesMax * (1 - ROWS_SHARE));
  const segments = new SharedSegments(pool, results, groups);
  const forget = (): void => {
    results.clear();
    groups.clear();
  };
  const watch = (connection: PoolClient): void => void connection.once('end', forget);
  pool.on('connect', watch);
  // Connections that were made before, as soon as the pool knows.
  pool.on('remove', forget);
  return {
    begin: () => {
      const seen = { since: results.now };
      return {
        pool,
        database: sharedDatabase(database, results, seen),
        shared: {
          segments: segments.seenBy(seen),
          settled: (version) => {
            return sharedDatabase(database, results, Object.freeze({ ...seen, version }));
          },
        },
      };
    },
    get counts() {
      const { asked, started } = results.counts;
      return { asked, started, segmentBytes: groups.bytes };
    },
    [Symbol.dispose]: () => void pool.off('connect', watch).off('remove', forget),
  };
}

/** Reads of `database` by one reader; a frozen `seen` stays where it is. */
function sharedDatabase(
  database: ArchiveDatabase,
  results: SharedResults,
  seen: Seen & Pick<Question<unknown>, 'version'>,
): ArchiveDatabase {
  return askedDatabase(async (query) => {
    const question = {
      key: `${query.sql} ${JSON.stringify(query.parameters)}`,
      ask: () => database.executeQuery(query),
      bytesOf: ({ rows }: QueryResult<unknown>) => rows.length * ROW_BYTES,
      version: seen.version,
    };
    const { value, finishedAt } = await results.get(question, seen.since);
    if (!Object.isFrozen(seen)) seen.since = Math.max(seen.since, finishedAt);
    // The rows are everybody's, the list of them is the reader's own.
    return { ...value, rows: [...value.rows] };
  });
}
