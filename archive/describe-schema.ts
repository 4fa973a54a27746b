// Writes a database's schema down as SQL, from the catalog and not from the migrations: what the
// migrations really made. The text is the same on every supported version of PostgreSQL. Leaves out
// the tables of the migrator and the daily partitions, which only repeat their parents.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/**
 * Tables with columns, constraints and indexes, then functions, then views; each in the order of
 * names.
 */
export async function describeSchema(database: ArchiveDatabase): Promise<string> {
  try {
    const tables = await describeTables(database);
    const indexes = await describeAll(database, INDEXES);
    const functions = await describeAll(database, FUNCTIONS);
    const views = await describeAll(database, VIEWS);
    return `${[...tables, ...indexes, ...functions, ...views].join('\n\n')}\n`;
  } catch (error) {
    throw toDatabaseError(error, 'describing the schema');
  }
}

interface TableRow {
  readonly name: string;
  readonly columns: readonly string[];
  readonly constraints: readonly string[];
  readonly partitioning: string;
}

// Storage is said only where it is not the type's own; NOT NULL stands with the column, since only
// PostgreSQL 18 and newer list it among the constraints.
const TABLES = `
SELECT c.relname AS name,
       coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), '') AS partitioning,
       (SELECT array_agg(
          quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
          || CASE WHEN a.attstorage <> t.typstorage
                  THEN ' STORAGE '
                       || CASE a.attstorage WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                            WHEN 'p' THEN 'PLAIN' ELSE 'EXTENDED' END
                  ELSE '' END
          || CASE a.attcompression WHEN 'l' THEN ' COMPRESSION lz4'
                                   WHEN 'p' THEN ' COMPRESSION pglz' ELSE '' END
          || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
          || CASE a.attidentity WHEN 'a' THEN ' GENERATED ALWAYS AS IDENTITY' ELSE '' END
          || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
          ORDER BY a.attnum)
        FROM pg_attribute a
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(array_agg(
          'CONSTRAINT ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid)
          ORDER BY k.contype DESC, k.conname), '{}')
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n') AS constraints
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname NOT LIKE 'kysely%'
ORDER BY c.relname`;

const INDEXES = `
SELECT pg_get_indexdef(i.indexrelid) || ';' AS text
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
  AND c.relname NOT LIKE 'kysely%'
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)
ORDER BY x.relname`;

const FUNCTIONS = `
SELECT trim(trailing from pg_get_functiondef(p.oid), E'\\n') || ';' AS text
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname`;

const VIEWS = `
SELECT 'CREATE VIEW ' || c.relname || E' AS\\n' || pg_get_viewdef(c.oid, true) AS text
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v' ORDER BY c.relname`;

async function describeTables(database: ArchiveDatabase): Promise<string[]> {
  const { rows } = await sql.raw<TableRow>(TABLES).execute(database);
  return rows.map(({ name, columns, constraints, partitioning }) => {
    const lines = [...columns, ...constraints].map((line) => `  ${line}`);
    return `CREATE TABLE ${name} (\n${lines.join(',\n')}\n)${partitioning};`;
  });
}

async function describeAll(database: ArchiveDatabase, query: string): Promise<string[]> {
  const { rows } = await sql.raw<{ text: string }>(query).execute(database);
  return rows.map((row) => row.text);
}
