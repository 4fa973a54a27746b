// Moves what fell into the DEFAULT partitions, because the partition of its day was missing, to
// partitions of its own: copied beside while everybody goes on, frozen, and put in place when the
// full DEFAULT partitions are dropped for empty ones. Waits until the day takes no more appends.
// What comes while a copy is made could only follow it with appends and readers held up, and
// whoever is held up has a snapshot that keeps the rest from being frozen.

import { sql, type Transaction } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import { areEqual, type ChannelEnds, channelsIn, fillChannel } from './fill-partition.ts';
import {
  attachFresh,
  createFresh,
  dropFresh,
  type FreshDay,
  freezeFresh,
  withTablesLocked,
} from './fresh-partition.ts';
import { MOVE_LOCK } from './move-lock.ts';
import { PARTITIONED_TABLES, type PartitionedTable } from './partitions.ts';
import { isInTheWay, toDatabaseError } from './sqlstate.ts';

/**
 * `startsMs`: the days that were moved, as midnights UTC. `early`: a day among them may still take
 * appends. `busy`: something stood in the way; to be tried again later.
 */
export type EmptyDefaultResult =
  | { readonly outcome: 'emptied'; readonly startsMs: readonly number[] }
  | { readonly outcome: 'empty' | 'early' | 'busy' };

const DAY_MS = 86_400_000;
/** A late commit, and clocks that differ. */
const DAY_ENDED_MS = 3_600_000;

/**
 * Empties the DEFAULT partitions of both tables, as soon as by `wallMs` no day in them takes
 * appends. Takes two connections of the pool of `database`. Readers see the same before, meanwhile
 * and after; appends wait half a second at most. Errors: BACKCAST_DATABASE_UNREACHABLE, and
 * BACKCAST_DATABASE_REFUSED if a copy is not equal to what it was made from.
 */
export async function emptyDefault(
  database: ArchiveDatabase,
  wallMs: number,
): Promise<EmptyDefaultResult> {
  try {
    const days = await findDays(database);
    if (days.length === 0) return { outcome: 'empty' };
    if (days.some((day) => mayTakeAppends(day, wallMs))) return { outcome: 'early' };
    return await database
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (transaction) => {
        // The last statement before the copy is one without parameters: it keeps no snapshot.
        for (const statement of MOVE_LOCK) await sql.raw(statement).execute(transaction);
        return move(database, transaction, days);
      });
  } catch (error) {
    if (isInTheWay(error)) return { outcome: 'busy' };
    throw toDatabaseError(error, 'emptying the DEFAULT partition');
  }
}

function mayTakeAppends({ wallMs: startMs }: FreshDay, wallMs: number): boolean {
  return wallMs > startMs - DAY_ENDED_MS && wallMs < startMs + DAY_MS + DAY_ENDED_MS;
}

async function move(
  database: ArchiveDatabase,
  transaction: Transaction<ArchiveTables>,
  days: readonly FreshDay[],
): Promise<EmptyDefaultResult> {
  try {
    for (const day of days) await createFresh(database, day);
    const ends = await endsOf(database, tablesOf(days));
    for (const [channelId, channelEnds] of ends) {
      for (const { wallMs, tables } of days) {
        const from = Object.fromEntries(tables.map((table) => [table, `${table}_default`]));
        await fillChannel({ database, wallMs, from }, channelId, channelEnds);
      }
    }
    const isDone =
      (await freezeFresh(database, days)) &&
      (await withTablesLocked(transaction, () => swap(transaction, days, ends)));
    if (isDone) return { outcome: 'emptied', startsMs: days.map(({ wallMs }) => wallMs) };
    for (const day of days) await dropFresh(database, day);
    return { outcome: 'busy' };
  } catch (error) {
    for (const day of days) await dropFresh(database, day).catch(() => undefined);
    throw error;
  }
}

/** With both tables to itself. False if rows came or went since each channel had `ends`. */
async function swap(
  transaction: Transaction<ArchiveTables>,
  days: readonly FreshDay[],
  ends: ReadonlyMap<number, ChannelEnds>,
): Promise<boolean> {
  const tables = tablesOf(days);
  for (const table of tables) {
    await sql.raw(`LOCK TABLE ${table}_default IN ACCESS EXCLUSIVE MODE`).execute(transaction);
  }
  if (!areEqual(ends, await endsOf(transaction, tables))) return false;
  for (const table of tables) {
    await sql.raw(`DROP TABLE ${table}_default`).execute(transaction);
    await sql
      .raw(`CREATE TABLE ${table}_default PARTITION OF ${table} DEFAULT`)
      .execute(transaction);
  }
  for (const day of days) await attachFresh(transaction, day);
  return true;
}

function tablesOf(days: readonly FreshDay[]): PartitionedTable[] {
  return PARTITIONED_TABLES.filter((table) => days.some(({ tables }) => tables.includes(table)));
}

async function endsOf(
  database: ArchiveDatabase,
  tables: readonly PartitionedTable[],
): Promise<Map<number, ChannelEnds>> {
  const ends = new Map<number, ChannelEnds>();
  for (const table of tables) {
    for (const [channelId, { first, last }] of await channelsIn(database, `${table}_default`)) {
      const known = ends.get(channelId) ?? { first, last };
      ends.set(channelId, {
        first: Math.min(first, known.first),
        last: Math.max(last, known.last),
      });
    }
  }
  return ends;
}

/** The days that have rows in the DEFAULT partitions, and in which of them, oldest first. */
async function findDays(database: ArchiveDatabase): Promise<FreshDay[]> {
  const days = new Map<number, PartitionedTable[]>();
  for (const table of PARTITIONED_TABLES) {
    const found = await sql<{ startUs: number }>`
      SELECT DISTINCT date_trunc('day', archived_at, 'UTC') AS "startUs"
      FROM ${sql.table(`${table}_default`)}`.execute(database);
    for (const { startUs } of found.rows) {
      days.set(startUs / 1000, [...(days.get(startUs / 1000) ?? []), table]);
    }
  }
  return [...days]
    .toSorted(([one], [other]) => one - other)
    .map(([wallMs, tables]) => ({ wallMs, tables }));
}
