// Reads of a server that follows, gone on with on the one that it follows when it fails: at the
// statement that failed, and from there on to the end. What was told stays true, since who leads
// has all that the other had; and nobody goes back to the one that follows, which may be behind
// what he has seen by then.

import { AssertionError, type BackcastError, type ErrorCode } from '#base/mod.ts';
import { askedDatabase } from './asked-database.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ReadDatabase } from './shared-reads.ts';
import { toDatabaseError } from './sqlstate.ts';

/** Reads that are shared with others. */
export type SharedDatabase = Required<ReadDatabase>;

/** Where to read, and where else. */
export interface FallbackOptions {
  readonly first: SharedDatabase;
  /** Begins to read the other server. */
  readonly openOther: () => SharedDatabase;
  /** Told why the first is left. */
  readonly onFailure: (failure: BackcastError) => void;
}

/** What is asked of another server: whatever is wrong with this one. */
const LEFT_FOR: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BACKCAST_DATABASE_UNREACHABLE',
  'BACKCAST_DATABASE_REFUSED',
  'BACKCAST_SCHEMA_MISSING',
]);

/** For one reader: reads the first server until it fails, then the other. */
export function readWithFallback(options: FallbackOptions): SharedDatabase {
  const { first, openOther, onFailure } = options;
  let other: SharedDatabase | undefined;
  const answered = async <Value>(
    ask: (reads: SharedDatabase) => Promise<Value>,
  ): Promise<Value> => {
    if (other !== undefined) return ask(other);
    try {
      return await ask(first);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      const failure = toDatabaseError(error, 'reading the replica');
      if (!LEFT_FOR.has(failure.code)) throw error;
      onFailure(failure);
      other ??= openOther();
      return ask(other);
    }
  };
  const asked = (databaseOf: (reads: SharedDatabase) => ArchiveDatabase): ArchiveDatabase => {
    return askedDatabase((query) => answered((reads) => databaseOf(reads).executeQuery(query)));
  };
  return {
    get pool() {
      return (other ?? first).pool;
    },
    database: asked(({ database }) => database),
    shared: {
      segments: {
        fetch: (query) => answered(({ shared }) => shared.segments.fetch(query)),
        prepare: (query) => (other ?? first).shared.segments.prepare(query),
        fetchAt: (query) => answered(({ shared }) => shared.segments.fetchAt(query)),
      },
      settled: (version) => {
        const ofFirst = first.shared.settled(version);
        let ofOther: ArchiveDatabase | undefined;
        return asked((reads) => {
          return reads === first ? ofFirst : (ofOther ??= reads.shared.settled(version));
        });
      },
    },
  };
}
