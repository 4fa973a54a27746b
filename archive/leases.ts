// Who writes a channel. A lease has a holder, an end and an epoch; taking it raises the epoch, and
// the epoch is what every append is fenced by. So the end only decides when another may take over:
// a holder that is late loses nothing, one that was replaced can no longer write, however its clock
// runs. Ends are reckoned by the clock of the database alone.

import { sql } from 'kysely';
import { archiverName } from './archiver-name.ts';
import type { ArchiveDatabase } from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/** The outcome of asking for a channel. */
export type LeaseResult =
  | {
      readonly outcome: 'acquired';
      readonly epoch: number;
      readonly head: number;
      readonly commits: number;
    }
  | {
      readonly outcome: 'held';
      readonly holder: string;
      readonly head: number;
      readonly expiresAtUs: number;
    };

/** A lease that is ours as long as nobody raised the epoch. */
export interface HeldLease {
  readonly channelId: number;
  readonly epoch: number;
}

/** A lease that still stands. */
export interface RenewedLease {
  readonly channelId: number;
  /** The last archived position; and the batches. Less than before if the server forgot some. */
  readonly head: number;
  readonly commits: number;
}

/** What makes a lease free beside its end. */
export interface Takeover {
  /** This holder is gone, or cannot hear the channel; only if the epoch is still this one. */
  readonly overruled?: { readonly holder: string; readonly epoch: number } | undefined;
  /** Epochs through this one have been used, even if the server has forgotten it. */
  readonly usedEpoch?: number | undefined;
}

/**
 * Longer than any batch of a writer that works: who holds the row for longer is stuck in its
 * transaction.
 */
const TAKE_MS_MAX = 2_000;

/**
 * Takes the channel if nobody has it, its lease has ended, or `holder` has it already (a restarted
 * archiver need not wait for itself). Each success raises the epoch. The channel is one that
 * ensureChannel knows. Throws BACKCAST_DATABASE_UNREACHABLE also when a batch that is being written
 * keeps the row locked for long: see endWriter.
 */
export async function acquireLease(
  database: ArchiveDatabase,
  channelId: number,
  holder: string,
  ttlMs: number,
  { overruled, usedEpoch = 0 }: Takeover = {},
): Promise<LeaseResult> {
  const overruledHolder = overruled?.holder ?? null;
  const overruledEpoch = overruled?.epoch ?? -1;
  try {
    const [row] = await database.transaction().execute(async (transaction) => {
      await sql.raw(`SET LOCAL statement_timeout = ${TAKE_MS_MAX}`).execute(transaction);
      const taken = await sql<{ epoch: number; head: number; commits: number }>`
        UPDATE leases
        SET epoch = greatest(epoch, ${usedEpoch}::bigint) + 1,
            holder = ${holder}, expires_at = ${expiry(ttlMs)}
        WHERE channel_id = ${channelId}
          AND (holder IS NULL OR holder = ${holder} OR expires_at <= now()
               OR (holder = ${overruledHolder}::text AND epoch = ${overruledEpoch}::bigint))
        RETURNING epoch, head, commits`.execute(transaction);
      return taken.rows;
    });
    if (row !== undefined) return { outcome: 'acquired', ...row };
    return await readHolder(database, channelId);
  } catch (error) {
    throw toDatabaseError(error, `taking the lease of channel ${channelId}`);
  }
}

/**
 * Ends the connections of an archiver that has been in one transaction for longer than any batch
 * takes: it was stopped in the middle, and keeps what it locked. Its next batch finds out.
 */
export async function endWriter(database: ArchiveDatabase, holder: string): Promise<void> {
  try {
    await sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database()
        AND application_name = left(${archiverName(holder)}, 63)
        AND xact_start < now() - ${TAKE_MS_MAX} * interval '1 millisecond'`.execute(database);
  } catch (error) {
    throw toDatabaseError(error, `ending the transactions of the archiver ${holder}`);
  }
}

/** Moves the end of the leases; returns the channels that are still ours. The others were taken. */
export async function renewLeases(
  database: ArchiveDatabase,
  leases: readonly HeldLease[],
  holder: string,
  ttlMs: number,
): Promise<RenewedLease[]> {
  if (leases.length === 0) return [];
  const channelIds = leases.map((lease) => lease.channelId);
  const epochs = leases.map((lease) => lease.epoch);
  try {
    const kept = await sql<{ channel_id: number; head: number; commits: number }>`
      UPDATE leases SET expires_at = ${expiry(ttlMs)}
      WHERE channel_id = ANY (${channelIds}::int[]) AND holder = ${holder}
        AND epoch = (${epochs}::bigint[])[array_position(${channelIds}::int[], channel_id)]
      RETURNING channel_id, head, commits`.execute(database);
    return kept.rows.map(({ channel_id, ...rest }) => ({ channelId: channel_id, ...rest }));
  } catch (error) {
    throw toDatabaseError(error, 'renewing leases');
  }
}

/**
 * Gives the channel up, so that another need not wait for the end. False, and nothing happens, if
 * another has taken it.
 */
export async function releaseLease(database: ArchiveDatabase, lease: HeldLease): Promise<boolean> {
  try {
    const released = await sql`
      UPDATE leases SET holder = NULL, expires_at = now()
      WHERE channel_id = ${lease.channelId} AND epoch = ${lease.epoch}`.execute(database);
    return released.numAffectedRows === 1n;
  } catch (error) {
    throw toDatabaseError(error, `releasing the lease of channel ${lease.channelId}`);
  }
}

function expiry(ttlMs: number): ReturnType<typeof sql> {
  return sql`now() + ${ttlMs} * interval '1 millisecond'`;
}

async function readHolder(database: ArchiveDatabase, channelId: number): Promise<LeaseResult> {
  const lease = await database
    .selectFrom('leases')
    .select(['holder', 'head', 'expires_at'])
    .where('channel_id', '=', channelId)
    .executeTakeFirstOrThrow();
  return {
    outcome: 'held',
    holder: lease.holder ?? '',
    head: lease.head,
    expiresAtUs: lease.expires_at,
  };
}
