// A database of which each statement is answered by whoever is asked for it: from what others have
// just read, or by this server or that. Knows neither of them, and holds no connection.

import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely';
import { AssertionError } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';

/** Answers a statement with the rows that it is known to have. */
export type Ask = (query: CompiledQuery) => Promise<QueryResult<unknown>>;

/** A database whose statements `ask` answers. It has no transactions. */
export function askedDatabase(ask: Ask): ArchiveDatabase {
  const connection: DatabaseConnection = {
    executeQuery: ask as DatabaseConnection['executeQuery'],
    streamQuery: () => {
      throw new AssertionError('what is asked for is statements with few rows');
    },
  };
  return new Kysely<ArchiveTables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driverOf(connection),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

function driverOf(connection: DatabaseConnection): Driver {
  return {
    init: () => Promise.resolve(),
    acquireConnection: () => Promise.resolve(connection),
    beginTransaction: noTransaction,
    commitTransaction: noTransaction,
    rollbackTransaction: noTransaction,
    releaseConnection: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
  };
}

function noTransaction(): never {
  throw new AssertionError('what is asked for is read without a transaction');
}
