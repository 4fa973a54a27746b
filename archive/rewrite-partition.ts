// Rewrites a day that has ended without what is no longer kept, so that the disk gets its space
// back at once, and nothing is left for VACUUM. The day is copied beside (fill-partition.ts) while
// readers and appends go on, and takes the place of the old one in a moment (fresh-partition.ts).
// Whatever ends it before that leaves the day as it was.
//
//   lock      the day's partitions, against others who rewrite: a lock of the server, which ends
//             with this process
//   copy      channel by channel, and compare
//   freeze    so that every snapshot sees the copy
//   swap      look whether an append came meanwhile; if so, copy its channel again; drop the old,
//             attach the new

import { sql, type Transaction } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import {
  channelsIn,
  type DroppedPositions,
  fillChannel,
  type PartitionSource,
} from './fill-partition.ts';
import {
  attachFresh,
  createFresh,
  dayBounds,
  dropFresh,
  freezeFresh,
  isInTheWay,
  withTablesLocked,
} from './fresh-partition.ts';
import { PARTITIONED_TABLES, partitionName } from './partitions.ts';
import { sqlStateOf, toDatabaseError } from './sqlstate.ts';

export type { DroppedPositions } from './fill-partition.ts';

/** Which day is rewritten, and what stays of it. */
export interface PartitionRewrite {
  /** Any instant of the UTC day. */
  readonly wallMs: number;
  /**
   * By channel_id the first position that stays: segments that end before it are left out. Infinity
   * leaves out all of a channel; a channel that is not named stays whole.
   */
  readonly keepFrom?: ReadonlyMap<number, number>;
  /**
   * Runs in the transaction that puts the new day in place, so that what it writes is committed
   * with it; `dropped` is what the day lacks now. It may run more than once, the last time counts.
   */
  readonly beforeCommit?: (
    transaction: Transaction<ArchiveTables>,
    dropped: readonly DroppedPositions[],
  ) => Promise<void>;
}

/**
 * `absent`: the day has no partition. `busy`: somebody else rewrites it, or a reader stood in the
 * way for too long; to be tried again later.
 */
export type PartitionRewriteResult =
  | {
      readonly outcome: 'rewritten';
      readonly bytesBefore: number;
      readonly bytesAfter: number;
      readonly dropped: readonly DroppedPositions[];
    }
  | { readonly outcome: 'absent' | 'busy' };

/** How often appends into the day may force a channel to be copied again. */
const COPIES_MAX = 3;

/**
 * Rewrites the day's partitions of both tables. Takes two connections of the pool of `database`.
 * Readers see the same before, meanwhile and after, but for what is left out; appends wait half a
 * second at most. Errors: BACKCAST_DATABASE_UNREACHABLE, and BACKCAST_DATABASE_REFUSED if the copy
 * is not equal to what it was made from.
 */
export async function rewritePartition(
  database: ArchiveDatabase,
  rewrite: PartitionRewrite,
): Promise<PartitionRewriteResult> {
  const { wallMs } = rewrite;
  const names = PARTITIONED_TABLES.map((table) => partitionName(table, wallMs));
  try {
    return await database
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (transaction) => {
        if (!(await areAttached(transaction, names))) return { outcome: 'absent' } as const;
        await lockAgainstRewrites(transaction, names);
        await releaseSnapshot(transaction);
        return new Rewriting(database, transaction, rewrite).run();
      });
  } catch (error) {
    if (isInTheWay(error)) return { outcome: 'busy' };
    // It was dropped, or replaced, between the two looks at it.
    if (sqlStateOf(error) === '42P01') return { outcome: 'absent' };
    throw toDatabaseError(error, `rewriting the partition ${names[0]}`);
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

/** This mode excludes itself and neither reading nor writing. */
async function lockAgainstRewrites(
  transaction: Transaction<ArchiveTables>,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    await sql
      .raw(`LOCK TABLE ONLY ${name} IN SHARE UPDATE EXCLUSIVE MODE NOWAIT`)
      .execute(transaction);
  }
}

interface Filled {
  readonly lastFirst: number;
  readonly dropped: DroppedPositions | undefined;
}

/**
 * A statement with parameters keeps its snapshot until the next one on the connection, and with it
 * the copy could never be frozen. One without parameters keeps none.
 */
async function releaseSnapshot(transaction: Transaction<ArchiveTables>): Promise<void> {
  await sql`SELECT`.execute(transaction);
}

/** One rewrite, by the one who holds the lock of the day. */
class Rewriting {
  readonly #database: ArchiveDatabase;
  readonly #transaction: Transaction<ArchiveTables>;
  readonly #rewrite: PartitionRewrite;
  readonly #source: PartitionSource;
  /** By channel where the last segment that was copied begins, and what was left out. */
  readonly #filled = new Map<number, Filled>();

  #bytesAfter = 0;

  constructor(
    database: ArchiveDatabase,
    transaction: Transaction<ArchiveTables>,
    rewrite: PartitionRewrite,
  ) {
    this.#database = database;
    this.#transaction = transaction;
    this.#rewrite = rewrite;
    const { wallMs } = rewrite;
    this.#source = { database, wallMs, segments: partitionName('segments', wallMs) };
  }

  async run(): Promise<PartitionRewriteResult> {
    const { wallMs } = this.#rewrite;
    const bytesBefore = await this.#bytes(this.#database);
    try {
      await createFresh(this.#database, wallMs);
      for (let copies = 1; copies <= COPIES_MAX; copies += 1) {
        await this.#fill();
        if (!(await freezeFresh(this.#database, wallMs))) break;
        const change = await withTablesLocked(this.#transaction, () => this.#swap());
        if (change === 'done') {
          const dropped = this.#dropped();
          return { outcome: 'rewritten', bytesBefore, bytesAfter: this.#bytesAfter, dropped };
        }
        if (change === 'busy') break;
      }
      await dropFresh(this.#database, wallMs);
      return { outcome: 'busy' };
    } catch (error) {
      await dropFresh(this.#database, wallMs).catch(() => undefined);
      throw error;
    }
  }

  /** Copies every channel that is not copied, or has gone on since. */
  async #fill(): Promise<void> {
    const { keepFrom } = this.#rewrite;
    for (const [channelId, lastFirst] of await this.#missing(this.#database)) {
      const from = Math.min(keepFrom?.get(channelId) ?? 0, Number.MAX_SAFE_INTEGER);
      const range = { channelId, lastFirst, keepFrom: from };
      this.#filled.set(channelId, { lastFirst, dropped: await fillChannel(this.#source, range) });
    }
  }

  /** The channels that have segments which the copy has not looked at. */
  async #missing(database: ArchiveDatabase): Promise<(readonly [number, number])[]> {
    const channels = await channelsIn(database, this.#source.segments);
    return [...channels].filter(
      ([channelId, lastFirst]) => this.#filled.get(channelId)?.lastFirst !== lastFirst,
    );
  }

  /** With the tables locked. False if an append came since the copy. */
  async #swap(): Promise<boolean> {
    const { wallMs, beforeCommit } = this.#rewrite;
    const transaction = this.#transaction;
    if ((await this.#missing(transaction)).length > 0) return false;
    for (const table of PARTITIONED_TABLES) {
      await sql.raw(`DROP TABLE ${partitionName(table, wallMs)}`).execute(transaction);
    }
    await attachFresh(transaction, wallMs);
    this.#bytesAfter = await this.#bytes(transaction);
    const dropped = this.#dropped();
    for (const { channelId } of dropped) await this.#correctBounds(channelId);
    await beforeCommit?.(transaction, dropped);
    return true;
  }

  #dropped(): DroppedPositions[] {
    return [...this.#filled.values()].flatMap(({ dropped }) => dropped ?? []);
  }

  async #correctBounds(channelId: number): Promise<void> {
    const { from } = dayBounds(this.#rewrite.wallMs);
    const own = sql`channel_id = ${channelId} AND partition_start = ${from}::timestamptz`;
    await sql`DELETE FROM partition_bounds WHERE ${own}`.execute(this.#transaction);
    await sql`
      INSERT INTO partition_bounds (partition_start, first_position, last_position,
        min_published_at, max_published_at, channel_id)
      SELECT ${from}::timestamptz, min(first_position), max(first_position + message_count - 1),
             min(min_published_at), max(max_published_at), channel_id
      FROM ${sql.table(this.#source.segments)} WHERE channel_id = ${channelId}
      GROUP BY channel_id`.execute(this.#transaction);
  }

  async #bytes(database: ArchiveDatabase): Promise<number> {
    const names = PARTITIONED_TABLES.map((table) => partitionName(table, this.#rewrite.wallMs));
    const found = await sql<{ bytes: number }>`
      SELECT sum(pg_total_relation_size(name::regclass))::bigint AS bytes
      FROM unnest(${names}::text[]) AS name`.execute(database);
    return found.rows[0].bytes;
  }
}
