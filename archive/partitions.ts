// Makes the daily partitions of the two large tables ahead of time. A day is a UTC day of
// archived_at; what falls on a day without partition goes to the DEFAULT partition and is found all
// the same, only slower to drop. Idempotent, and safe when several processes do it at once.

import { sql } from 'kysely';
import { toDatabaseError, sqlStateOf } from './sqlstate.ts';
import type { ArchiveDatabase } from './connect.ts';

/** A server that is away for a week still finds its partitions made. */
export const PARTITION_DAYS_AHEAD = 7;

const DAY_MS = 86_400_000;
const LOCK_TIMEOUT_MS = 2_000;

/** The two tables that are cut into days, in the order in which everybody locks them. */
export const PARTITIONED_TABLES = ['segments', 'segment_sessions'] as const;

/** One of them. */
export type PartitionedTable = (typeof PARTITIONED_TABLES)[number];

/** What ensurePartitions found and did, by partition name. */
export interface PartitionsResult {
  readonly created: readonly string[];
  /** Not made, because the DEFAULT partition already holds rows of that day. */
  readonly blocked: readonly string[];
}

/**
 * Makes what is missing of the partitions for the UTC day of `wallMs` and the following days. Never
 * waits long behind a reader (2 s); then it throws BACKCAST_DATABASE_UNREACHABLE and can be called
 * again.
 */
export async function ensurePartitions(
  database: ArchiveDatabase,
  wallMs: number,
  daysAhead: number = PARTITION_DAYS_AHEAD,
): Promise<PartitionsResult> {
  const existing = await existingPartitions(database);
  const created: string[] = [];
  const blocked: string[] = [];
  const today = Math.floor(wallMs / DAY_MS);
  for (let day = today; day <= today + daysAhead; day += 1) {
    for (const table of PARTITIONED_TABLES) {
      const name = partitionName(table, day * DAY_MS);
      if (existing.has(name)) continue;
      const outcome = await createPartition(database, table, day * DAY_MS);
      if (outcome === 'created') created.push(name);
      if (outcome === 'blocked') blocked.push(name);
    }
  }
  return { created, blocked };
}

/**
 * The name of the partition of `table` for the UTC day that contains `wallMs`: segments_p20261122.
 */
export function partitionName(table: PartitionedTable, wallMs: number): string {
  return `${table}_p${new Date(wallMs).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** The days that have a partition of `segments`, as midnights UTC in microseconds since 1970. */
export async function partitionDays(database: ArchiveDatabase): Promise<number[]> {
  const prefix = /^segments_p(\d{4})(\d{2})(\d{2})$/;
  return [...(await existingPartitions(database))].flatMap((name) => {
    const [, year, month, day] = prefix.exec(name) ?? [];
    return year === undefined
      ? []
      : [Date.UTC(Number(year), Number(month) - 1, Number(day)) * 1000];
  });
}

async function existingPartitions(database: ArchiveDatabase): Promise<Set<string>> {
  const found = await sql<{ name: string }>`
    SELECT inhrelid::regclass::text AS name FROM pg_inherits
    WHERE inhparent IN ('segments'::regclass, 'segment_sessions'::regclass)`
    .execute(database)
    .catch((error: unknown) => Promise.reject(toDatabaseError(error, 'listing partitions')));
  return new Set(found.rows.map((row) => row.name));
}

/**
 * Makes the table beside the others and attaches it when it is complete: attaching locks the parent
 * less than CREATE TABLE … PARTITION OF, and running appends go on.
 */
async function createPartition(
  database: ArchiveDatabase,
  table: PartitionedTable,
  startMs: number,
): Promise<'created' | 'exists' | 'blocked'> {
  const name = partitionName(table, startMs);
  const from = new Date(startMs).toISOString();
  const to = new Date(startMs + DAY_MS).toISOString();
  try {
    await database.transaction().execute(async (transaction) => {
      await sql.raw(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`).execute(transaction);
      await sql.raw(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`).execute(transaction);
      await sql
        .raw(
          `ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
        )
        .execute(transaction);
    });
    return 'created';
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    if (['42P07', '23505', '42710'].includes(state)) return 'exists';
    if (state === '23514') return 'blocked';
    throw toDatabaseError(error, `making the partition ${name}`);
  }
}
