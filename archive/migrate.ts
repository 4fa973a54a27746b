// Brings a database to the current schema, and tells whether it is there. Any number of processes
// may migrate at once: one does the work, the others wait for it and find nothing left to do.

import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { LATEST_MIGRATION, migrationProvider } from '#migrations/mod.ts';
import type { Compression } from '#migrations/mod.ts';
import { BackcastError } from '#base/mod.ts';
import { openDatabase } from './connect.ts';
import type { ArchiveDatabase } from './connect.ts';
import { ensurePartitions } from './partitions.ts';
import { sqlStateOf, toDatabaseError } from './sqlstate.ts';

export type { Compression } from '#migrations/mod.ts';

/** What was done. */
export interface MigrateResult {
  /** Names of the migrations that this call ran; empty when there was nothing to do. */
  readonly applied: readonly string[];
}

/** Room for a busy server to finish what stands in the way of a change of tables. */
const STATEMENT_TIMEOUT_MS = 60_000;
const RACE_TRIES = 5;

/**
 * Brings the database at `url` to the current schema and makes the partitions of the coming days.
 * Idempotent. Errors: BACKCAST_DATABASE_UNREACHABLE, BACKCAST_DATABASE_REFUSED.
 */
export async function migrateToLatest(options: {
  readonly url: string;
  readonly compression?: Compression;
}): Promise<MigrateResult> {
  await using opened = openDatabase({
    url: options.url,
    poolConnectionsMax: 1,
    applicationName: 'backcast migrate',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  });
  const applied = await runMigrations(opened.database, options.compression ?? 'auto');
  await ensurePartitions(opened.database, Date.now());
  return { applied };
}

async function runMigrations(
  database: ArchiveDatabase,
  compression: Compression,
): Promise<readonly string[]> {
  const migrator = new Migrator({ db: database, provider: migrationProvider(compression) });
  for (let attempt = 1; ; attempt += 1) {
    const { error, results = [] } = await migrator.migrateToLatest();
    if (error === undefined) return results.map((result) => result.migrationName);
    if (!isRace(error) || attempt === RACE_TRIES) {
      throw toDatabaseError(error, 'migrating the database');
    }
  }
}

/** Somebody else made the same table in the same instant: look again. */
function isRace(error: unknown): boolean {
  return ['23505', '42P07', '42710'].includes(sqlStateOf(error) ?? '');
}

/** Returns if the schema is current; throws BACKCAST_SCHEMA_MISSING if not. */
export async function ensureSchema(database: ArchiveDatabase): Promise<void> {
  if (await isSchemaCurrent(database)) return;
  throw new BackcastError(
    'BACKCAST_SCHEMA_MISSING',
    `the database lacks the migration ${LATEST_MIGRATION}. Run backcast migrate.`,
  );
}

async function isSchemaCurrent(database: ArchiveDatabase): Promise<boolean> {
  try {
    const found =
      await sql`SELECT 1 FROM kysely_migration WHERE name = ${LATEST_MIGRATION}`.execute(database);
    return found.rows.length > 0;
  } catch (error) {
    if (sqlStateOf(error) === '42P01') return false;
    throw toDatabaseError(error, 'looking for the schema');
  }
}
