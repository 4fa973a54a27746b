// What an archiver that stands by needs to know of channels that somebody else writes: who does,
// how far the archive is, and what was declared lost. Few statements for all channels of a thread,
// since many archivers ask several times a second. Each is read after the one before it, so that a
// watermark never covers a loss that is not among those told.

import { sql } from 'kysely';
import type { SessionId } from '#base/mod.ts';
import { readProgress } from './channels.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import { toDatabaseError } from './sqlstate.ts';
import type { SessionProgress } from './types.ts';

/** A channel that is asked about. */
export interface AskedChannel {
  readonly channelId: number;
  /** Losses declared at or behind this position are told. */
  readonly afterPosition: number;
  /** The sessions that matter. */
  readonly sessions: Iterable<SessionId>;
}

/** How a channel stands. */
export interface ChannelState {
  readonly channelId: number;
  readonly epoch: number;
  /** Who writes it; null if nobody does. */
  readonly holder: string | null;
  /** Whether the lease has ended. */
  readonly isExpired: boolean;
  /** The last archived position. */
  readonly head: number;
  /** Of the sessions that were asked about, those that the archive knows. */
  readonly sessions: readonly SessionProgress[];
  /** In the order in which they were declared, those that are not healed. */
  readonly losses: readonly StandingLoss[];
}

/** Sequences that are lost, both ends included. */
export interface StandingLoss {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** How these channels stand. */
export async function readChannelStates(
  database: ArchiveDatabase,
  asked: readonly AskedChannel[],
): Promise<ChannelState[]> {
  if (asked.length === 0) return [];
  const channelIds = asked.map(({ channelId }) => channelId);
  try {
    const leases = await database
      .selectFrom('leases')
      .select(['channel_id', 'epoch', 'holder', 'head'])
      .select(sql<boolean>`expires_at <= now()`.as('is_expired'))
      .where('channel_id', '=', sql<number>`ANY (${channelIds}::int[])`)
      .execute();
    const sessions = await readSessions(database, asked);
    const losses = await readLosses(database, asked);
    return leases.map((lease) => ({
      channelId: lease.channel_id,
      epoch: lease.epoch,
      holder: lease.holder,
      isExpired: lease.is_expired,
      head: lease.head,
      sessions: sessions.get(lease.channel_id) ?? [],
      losses: losses.get(lease.channel_id) ?? [],
    }));
  } catch (error) {
    throw toDatabaseError(error, 'reading how channels stand');
  }
}

async function readSessions(
  database: ArchiveDatabase,
  asked: readonly AskedChannel[],
): Promise<Map<number, SessionProgress[]>> {
  const wanted = asked.flatMap(({ channelId, sessions }) =>
    [...sessions].map((session) => ({ channelId, session })),
  );
  return Map.groupBy(await readProgress(database, wanted), ({ channelId }) => channelId);
}

async function readLosses(
  database: ArchiveDatabase,
  asked: readonly AskedChannel[],
): Promise<Map<number, StandingLoss[]>> {
  const found = await database
    .selectFrom('losses')
    .select(['channel_id', 'first_sequence', 'last_sequence'])
    .select([sessionText('session_id').as('session')])
    .where((where) =>
      where.or(
        asked.map(({ channelId, afterPosition }) =>
          where.and([
            where('channel_id', '=', channelId),
            where('after_position', '>=', afterPosition),
          ]),
        ),
      ),
    )
    .where('healed_at', 'is', null)
    .orderBy('after_position')
    .execute();
  const losses = found.map((row) => ({
    channelId: row.channel_id,
    session: row.session,
    firstSequence: row.first_sequence,
    lastSequence: row.last_sequence,
  }));
  return Map.groupBy(losses, ({ channelId }) => channelId);
}
