// Every change of the schema, in order. A migration is never edited once it is released; the names
// are what the database remembers.

import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Migration, MigrationProvider } from 'kysely/migration';
import { createArchive } from './0001-archive.ts';
import type { StoredCompression } from './0001-archive.ts';

/** `auto` takes lz4 where the server was built with it, and else stores the arrays as they are. */
export type Compression = 'auto' | StoredCompression;

/** The migrations; `compression` matters to the one that makes the tables. */
export function migrationProvider(compression: Compression): MigrationProvider {
  const migrations: Record<string, Migration> = {
    '0001-archive': {
      async up(database: Kysely<unknown>) {
        await createArchive(database, await resolveCompression(database, compression));
      },
    },
  };
  return { getMigrations: () => Promise.resolve(migrations) };
}

/** The name of the newest migration: what a current database has been brought to. */
export const LATEST_MIGRATION = '0001-archive';

async function resolveCompression(
  database: Kysely<unknown>,
  compression: Compression,
): Promise<StoredCompression> {
  if (compression !== 'auto') return compression;
  const found = await sql`
    SELECT 1 FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)`.execute(database);
  return found.rows.length > 0 ? 'lz4' : 'none';
}
