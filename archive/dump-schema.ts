// A program for whoever changes the schema: migrates an empty embedded database and writes down
// what came out, as archive/schema.sql. A review then shows what a migration does; a test holds
// that the file is current.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from './connect.ts';
import { describeSchema } from './describe-schema.ts';
import { startEmbeddedPostgres } from './embedded/mod.ts';
import { migrateToLatest } from './migrate.ts';

const HEAD = `-- What all migrations together make, in a database with compression 'none'.
-- Written by archive/dump-schema.ts; do not edit.
`;

const homeDir = await mkdtemp(join(tmpdir(), 'backcast-schema-'));
try {
  await using postgres = await startEmbeddedPostgres({ homeDir });
  await migrateToLatest({ url: postgres.url, compression: 'none' });
  await using opened = openDatabase({
    url: postgres.url,
    poolConnectionsMax: 1,
    applicationName: 'backcast schema',
    statementTimeoutMs: 10_000,
  });
  const text = `${HEAD}\n${await describeSchema(opened.database)}`;
  await writeFile(new URL('schema.sql', import.meta.url), text);
} finally {
  await rm(homeDir, { recursive: true, force: true });
}
