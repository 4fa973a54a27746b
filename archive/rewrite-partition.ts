// Rewrites a day that has ended: without the rows that were deleted, or merged into others. They
// leave space behind that no later row will fill, since a day that has ended takes no new ones. The
// day is copied beside (fill-partition.ts) while readers and appends go on, and takes the place of
// the old one in a moment (fresh-partition.ts). Whatever ends it before that leaves the day as it
// was.
//
//   lock      against others who move rows (move-lock.ts)
//   copy      channel by channel, and compare
//   freeze    so that every snapshot sees the copy
//   swap      look whether rows came or went meanwhile, which ends it; drop the old, attach the new

import { sql, type Transaction } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import {
  areEqual,
  type ChannelEnds,
  channelsIn,
  fillChannel,
  type PartitionSource,
} from './fill-partition.ts';
import {
  attachFresh,
  createFresh,
  dropFresh,
  type FreshDay,
  freezeFresh,
  withTablesLocked,
} from './fresh-partition.ts';
import { MOVE_LOCK } from './move-lock.ts';
import { PARTITIONED_TABLES, type PartitionedTable, partitionName } from './partitions.ts';
import { isInTheWay, sqlStateOf, toDatabaseError } from './sqlstate.ts';

/**
 * `absent`: the day has no partition. `busy`: somebody else moves rows, an append or a deletion
 * came to the day, or a reader stood in the way for too long; to be tried again later.
 */
export type PartitionRewriteResult =
  | { readonly outcome: 'rewritten'; readonly bytesBefore: number; readonly bytesAfter: number }
  | { readonly outcome: 'absent' | 'busy' };

/**
 * Rewrites the partitions of both tables for the UTC day of `wallMs`. Takes two connections of the
 * pool of `database`. Readers see the same before, meanwhile and after; appends wait half a second
 * at most. Meant for days that have ended, or it will hardly find a moment without appends. Errors:
 * BACKCAST_DATABASE_UNREACHABLE, and BACKCAST_DATABASE_REFUSED if the copy is not equal to what it
 * was made from.
 */
export async function rewritePartition(
  database: ArchiveDatabase,
  wallMs: number,
): Promise<PartitionRewriteResult> {
  const [segments, index] = PARTITIONED_TABLES.map((table) => partitionName(table, wallMs));
  try {
    return await database
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (transaction) => {
        if (!(await areAttached(transaction, [segments, index]))) return { outcome: 'absent' };
        // The last statement before the copy must be one without parameters: others keep their
        // snapshot until the next one, and nothing that is younger can be frozen.
        for (const statement of MOVE_LOCK) await sql.raw(statement).execute(transaction);
        const from = { segments, segment_sessions: index };
        return new Rewriting(transaction, { database, wallMs, from }).run();
      });
  } catch (error) {
    if (isInTheWay(error)) return { outcome: 'busy' };
    // It was dropped, or replaced, between the two looks at it.
    if (sqlStateOf(error) === '42P01') return { outcome: 'absent' };
    throw toDatabaseError(error, `rewriting the partition ${segments}`);
  }
}

async function areAttached(
  transaction: Transaction<ArchiveTables>,
  names: readonly string[],
): Promise<boolean> {
  const found = await sql<{ count: number }>`
    SELECT count(*) AS count FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent IN ('segments'::regclass, 'segment_sessions'::regclass)
      AND relname = ANY (${names})`.execute(transaction);
  return found.rows[0].count === names.length;
}

interface WholeDay extends PartitionSource {
  readonly from: Readonly<Record<PartitionedTable, string>>;
}

/** One rewrite, by the one who holds the lock. */
class Rewriting {
  readonly #transaction: Transaction<ArchiveTables>;
  readonly #source: WholeDay;
  readonly #day: FreshDay;
  #bytesAfter = 0;

  constructor(transaction: Transaction<ArchiveTables>, source: WholeDay) {
    this.#day = { wallMs: source.wallMs, tables: PARTITIONED_TABLES };
    this.#transaction = transaction;
    this.#source = source;
  }

  async run(): Promise<PartitionRewriteResult> {
    const { database } = this.#source;
    const bytesBefore = await this.#bytes(database);
    try {
      await createFresh(database, this.#day);
      const ends = await this.#fill();
      // The locks of the swap give the transaction a number: nothing can be frozen after it.
      if (await freezeFresh(database, [this.#day])) {
        const isDone = await withTablesLocked(this.#transaction, () => this.#swap(ends));
        if (isDone) return { outcome: 'rewritten', bytesBefore, bytesAfter: this.#bytesAfter };
      }
      await dropFresh(database, this.#day);
      return { outcome: 'busy' };
    } catch (error) {
      await dropFresh(database, this.#day).catch(() => undefined);
      throw error;
    }
  }

  async #fill(): Promise<ReadonlyMap<number, ChannelEnds>> {
    const channels = await channelsIn(this.#source.database, this.#source.from.segments);
    for (const [channelId, ends] of channels) await fillChannel(this.#source, channelId, ends);
    return channels;
  }

  /** With the tables locked. False if rows came or went since each channel had `ends`. */
  async #swap(ends: ReadonlyMap<number, ChannelEnds>): Promise<boolean> {
    const { from } = this.#source;
    const transaction = this.#transaction;
    if (!areEqual(ends, await channelsIn(transaction, from.segments))) return false;
    for (const name of Object.values(from)) {
      await sql.raw(`DROP TABLE ${name}`).execute(transaction);
    }
    await attachFresh(transaction, this.#day);
    this.#bytesAfter = await this.#bytes(transaction);
    return true;
  }

  async #bytes(database: ArchiveDatabase): Promise<number> {
    const { segments, segment_sessions: index } = this.#source.from;
    const found = await sql<{ bytes: number }>`
      SELECT pg_total_relation_size(${segments}::text::regclass)
             + pg_total_relation_size(${index}::text::regclass) AS bytes`.execute(database);
    return found.rows[0].bytes;
  }
}
