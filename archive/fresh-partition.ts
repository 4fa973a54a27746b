// Builds a table beside a partition and puts it in its place. Readers must not notice, whatever
// they hold: a statement that began before the change may look the partition up after it. So what
// the new table holds is committed first and then frozen, which makes it visible to every snapshot
// there is, and the change itself moves no row. Nothing here waits long for a lock while others
// wait behind it.

import { setTimeout as delay } from 'node:timers/promises';
import { sql, type Transaction } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import { PARTITIONED_TABLES, type PartitionedTable, partitionName } from './partitions.ts';
import { isInTheWay } from './sqlstate.ts';

const DAY_MS = 86_400_000;
/** While a change waits for its locks, readers and appends wait behind it: not for longer. */
const SWAP_LOCK_MS_MAX = 500;
const DROP_LOCK_MS_MAX = 2_000;
const SWAP_TRIES = 8;
const FREEZE_TRIES = 20;
const RETRY_MS = 500;

/** A day, and those of the two tables that get a new partition for it. */
export interface FreshDay {
  /** Any instant of the UTC day. */
  readonly wallMs: number;
  readonly tables: readonly PartitionedTable[];
}

/** What the table beside the partition of `table` for the day of `wallMs` is called. */
export function freshName(table: PartitionedTable, wallMs: number): string {
  return `${partitionName(table, wallMs)}_fresh`;
}

/**
 * Makes the tables of `day`, empty, with the storage, compression and keys of the
 * partitions; drops what an attempt before has left. Nobody else may be building the same ones.
 */
export async function createFresh(database: ArchiveDatabase, day: FreshDay): Promise<void> {
  await dropFresh(database, day);
  const { wallMs, tables } = day;
  for (const table of tables) {
    const name = freshName(table, wallMs);
    const { from, to } = dayBounds(wallMs);
    await sql.raw(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`).execute(database);
    // With it the server need not look at every row when the table becomes a partition.
    await sql
      .raw(
        `ALTER TABLE ${name} ADD CONSTRAINT ${table}_day_check
         CHECK (archived_at >= '${from}' AND archived_at < '${to}')`,
      )
      .execute(database);
  }
}

/** Drops the tables if they are there. Never waits long. */
export async function dropFresh(
  database: ArchiveDatabase,
  { wallMs, tables }: FreshDay,
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    await sql.raw(`SET LOCAL lock_timeout = ${DROP_LOCK_MS_MAX}`).execute(transaction);
    for (const table of tables) {
      await sql.raw(`DROP TABLE IF EXISTS ${freshName(table, wallMs)}`).execute(transaction);
    }
  });
}

/**
 * Freezes what the tables hold. False if somebody keeps a snapshot from before it was committed
 * for longer than is worth waiting.
 */
export async function freezeFresh(
  database: ArchiveDatabase,
  days: readonly FreshDay[],
): Promise<boolean> {
  const now = await sql<{ xid: string }>`
    SELECT pg_current_xact_id()::text AS xid`.execute(database);
  const lastXid = now.rows[0].xid;
  for (let attempt = 1; attempt <= FREEZE_TRIES; attempt += 1) {
    let areFrozen = true;
    for (const name of namesOf(days)) {
      await sql.raw(`VACUUM (FREEZE, ANALYZE) ${name}`).execute(database);
      const found = await sql<{ isFrozen: boolean }>`
        SELECT age(relfrozenxid) < age(${lastXid}::xid) AS "isFrozen"
        FROM pg_class WHERE oid = ${name}::regclass`.execute(database);
      areFrozen &&= found.rows[0].isFrozen;
    }
    if (areFrozen) return true;
    await delay(RETRY_MS);
  }
  return false;
}

function namesOf(days: readonly FreshDay[]): string[] {
  return days.flatMap(({ wallMs, tables }) => tables.map((table) => freshName(table, wallMs)));
}

/**
 * Runs `change` with both partitioned tables to itself. Tried again, ever later, while a reader or
 * an append holds them. False where that did not help and where `change` gives false: then
 * everything is undone, and `transaction` stays usable.
 */
export async function withTablesLocked(
  transaction: Transaction<ArchiveTables>,
  change: () => Promise<boolean>,
): Promise<boolean> {
  for (let attempt = 1; attempt <= SWAP_TRIES; attempt += 1) {
    await sql`SAVEPOINT change`.execute(transaction);
    try {
      await sql.raw(`SET LOCAL lock_timeout = ${SWAP_LOCK_MS_MAX}`).execute(transaction);
      for (const table of PARTITIONED_TABLES) {
        await sql.raw(`LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`).execute(transaction);
      }
      if (await change()) return true;
      await sql`ROLLBACK TO SAVEPOINT change`.execute(transaction);
      return false;
    } catch (error) {
      await sql`ROLLBACK TO SAVEPOINT change`.execute(transaction).catch(() => undefined);
      if (!isInTheWay(error)) throw error;
    }
    if (attempt < SWAP_TRIES) await delay(RETRY_MS * attempt);
  }
  return false;
}

/** Makes the tables of `day` its partitions; there must be none. */
export async function attachFresh(
  transaction: Transaction<ArchiveTables>,
  { wallMs, tables }: FreshDay,
): Promise<void> {
  const { from, to } = dayBounds(wallMs);
  for (const table of tables) {
    const name = partitionName(table, wallMs);
    for (const statement of [
      `ALTER TABLE ${freshName(table, wallMs)} RENAME TO ${name}`,
      `ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
      `ALTER TABLE ${name} DROP CONSTRAINT ${table}_day_check`,
    ]) {
      await sql.raw(statement).execute(transaction);
    }
  }
}

/** The UTC day of `wallMs`, half-open, as the server reads it. */
export function dayBounds(wallMs: number): { readonly from: string; readonly to: string } {
  const startMs = Math.floor(wallMs / DAY_MS) * DAY_MS;
  return {
    from: new Date(startMs).toISOString(),
    to: new Date(startMs + DAY_MS).toISOString(),
  };
}
