// Who writes a channel. A lease has a holder, an end and an epoch; taking it raises the epoch, and
// the epoch is what every append is fenced by. So the end only decides when another may take over:
// a holder that is late loses nothing, one that was replaced can no longer write, however its clock
// runs. Ends are reckoned by the clock of the database alone.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/** The outcome of asking for a channel. */
export type LeaseResult =
  | { readonly outcome: 'acquired'; readonly epoch: number; readonly head: number }
  | { readonly outcome: 'held'; readonly holder: string; readonly expiresAtUs: number };

/** A lease that is ours as long as nobody raised the epoch. */
export interface HeldLease {
  readonly channelId: number;
  readonly epoch: number;
}

/**
 * Takes the channel if nobody has it, its lease has ended, or `holder` has it already (a restarted
 * archiver need not wait for itself). Each success raises the epoch. The channel is one that
 * ensureChannel knows.
 */
export async function acquireLease(
  database: ArchiveDatabase,
  channelId: number,
  holder: string,
  ttlMs: number,
): Promise<LeaseResult> {
  try {
    const taken = await sql<{ epoch: number; head: number }>`
      UPDATE leases
      SET epoch = epoch + 1, holder = ${holder}, expires_at = ${expiry(ttlMs)}
      WHERE channel_id = ${channelId}
        AND (holder IS NULL OR holder = ${holder} OR expires_at <= now())
      RETURNING epoch, head`.execute(database);
    const [row] = taken.rows;
    if (row !== undefined) return { outcome: 'acquired', epoch: row.epoch, head: row.head };
    return await readHolder(database, channelId);
  } catch (error) {
    throw toDatabaseError(error, `taking the lease of channel ${channelId}`);
  }
}

/** Moves the end of the leases; returns the channels that are still ours. The others were taken. */
export async function renewLeases(
  database: ArchiveDatabase,
  leases: readonly HeldLease[],
  ttlMs: number,
): Promise<number[]> {
  if (leases.length === 0) return [];
  const channelIds = leases.map((lease) => lease.channelId);
  const epochs = leases.map((lease) => lease.epoch);
  try {
    const kept = await sql<{ channel_id: number }>`
      UPDATE leases SET expires_at = ${expiry(ttlMs)}
      WHERE channel_id = ANY (${channelIds}::int[])
        AND epoch = (${epochs}::bigint[])[array_position(${channelIds}::int[], channel_id)]
      RETURNING channel_id`.execute(database);
    return kept.rows.map((row) => row.channel_id);
  } catch (error) {
    throw toDatabaseError(error, 'renewing leases');
  }
}

/**
 * Gives the channel up, so that another need not wait for the end. Nothing happens if it was taken.
 */
export async function releaseLease(database: ArchiveDatabase, lease: HeldLease): Promise<void> {
  try {
    await sql`
      UPDATE leases SET holder = NULL, expires_at = now()
      WHERE channel_id = ${lease.channelId} AND epoch = ${lease.epoch}`.execute(database);
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
    .select(['holder', 'expires_at'])
    .where('channel_id', '=', channelId)
    .executeTakeFirstOrThrow();
  return { outcome: 'held', holder: lease.holder ?? '', expiresAtUs: lease.expires_at };
}
