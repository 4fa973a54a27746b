// Messages that were declared lost and that another archiver has: offered by that one, taken by the
// one who writes the channel. An offer that was taken, or that no loss covers any more, is removed;
// nothing goes wrong if one is looked at twice.

import { sql } from 'kysely';
import type { SessionId } from '#base/mod.ts';
import type { StandingLoss } from './channel-states.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionParameter, sessionText } from './database-types.ts';
import { sessionKey } from './read-sql.ts';
import { toDatabaseError } from './sqlstate.ts';

/** Messages that an archiver has. */
export interface HealOffer {
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** The name of the archiver. */
  readonly by: string;
  /** One entry of a spool. */
  readonly content: Uint8Array;
}

/** Offers messages of a channel. One of the same beginning that is there already stays. */
export async function offerHeals(
  database: ArchiveDatabase,
  channelId: number,
  offers: readonly HealOffer[],
): Promise<void> {
  try {
    await sql`
      INSERT INTO heal_offers
        (channel_id, offered_at, session_id, first_sequence, last_sequence, offered_by, content)
      SELECT ${channelId}::int, now(), offer.*
      FROM unnest(${offers.map(({ session }) => sessionParameter(session))}::bigint[],
                  ${offers.map((offer) => offer.firstSequence)}::bigint[],
                  ${offers.map((offer) => offer.lastSequence)}::bigint[],
                  ${offers.map((offer) => offer.by)}::text[],
                  ${offers.map((offer) => Buffer.from(offer.content))}::bytea[]) AS offer
      ON CONFLICT (channel_id, session_id, first_sequence, offered_by) DO NOTHING`.execute(
      database,
    );
  } catch (error) {
    throw toDatabaseError(error, `offering lost messages of channel ${channelId}`);
  }
}

/** Bytes that an archiver offers, and that nobody has looked at yet. */
export async function readOfferedBytes(
  database: ArchiveDatabase,
  channelId: number,
  by: string,
): Promise<number> {
  try {
    const found = await database
      .selectFrom('heal_offers')
      .select(sql<string | null>`sum(length(content))`.as('bytes'))
      .where('channel_id', '=', channelId)
      .where('offered_by', '=', by)
      .executeTakeFirst();
    return Number(found?.bytes ?? 0);
  } catch (error) {
    throw toDatabaseError(error, `looking at the offers of channel ${channelId}`);
  }
}

/** Those of these channels that have offers. */
export async function findOffered(
  database: ArchiveDatabase,
  channelIds: readonly number[],
): Promise<number[]> {
  if (channelIds.length === 0) return [];
  try {
    const found = await database
      .selectFrom('heal_offers')
      .select('channel_id')
      .distinct()
      .where('channel_id', '=', sql<number>`ANY (${[...channelIds]}::int[])`)
      .execute();
    return found.map(({ channel_id }) => channel_id);
  } catch (error) {
    throw toDatabaseError(error, 'looking for offers');
  }
}

/** The oldest offers of a channel. */
export async function readHealOffers(
  database: ArchiveDatabase,
  channelId: number,
  countMax: number,
): Promise<HealOffer[]> {
  try {
    return await database
      .selectFrom('heal_offers')
      .select(['first_sequence as firstSequence', 'last_sequence as lastSequence'])
      .select(['offered_by as by', 'content'])
      .select([sessionText('session_id').as('session')])
      .where('channel_id', '=', channelId)
      .orderBy('offered_at')
      .orderBy('session_id')
      .orderBy('first_sequence')
      .limit(countMax)
      .execute();
  } catch (error) {
    throw toDatabaseError(error, `reading the offers of channel ${channelId}`);
  }
}

/** Offers that have been looked at. */
export async function removeHealOffers(
  database: ArchiveDatabase,
  channelId: number,
  offers: readonly Omit<HealOffer, 'content'>[],
): Promise<void> {
  if (offers.length === 0) return;
  try {
    await sql`
      DELETE FROM heal_offers
      USING unnest(${offers.map(({ session }) => sessionParameter(session))}::bigint[],
                   ${offers.map((offer) => offer.firstSequence)}::bigint[],
                   ${offers.map((offer) => offer.by)}::text[]) AS seen (session_id, first, by)
      WHERE heal_offers.channel_id = ${channelId}
        AND heal_offers.session_id = seen.session_id
        AND heal_offers.first_sequence = seen.first
        AND heal_offers.offered_by = seen.by`.execute(database);
  } catch (error) {
    throw toDatabaseError(error, `removing offers of channel ${channelId}`);
  }
}

/** What is lost of these sessions of a channel, and not healed. */
export async function readStandingLosses(
  database: ArchiveDatabase,
  channelId: number,
  sessions: readonly SessionId[],
): Promise<StandingLoss[]> {
  if (sessions.length === 0) return [];
  try {
    return await database
      .selectFrom('losses')
      .select(['first_sequence as firstSequence', 'last_sequence as lastSequence'])
      .select([sessionText('session_id').as('session')])
      .where('channel_id', '=', channelId)
      .where(sql<boolean>`session_id IN (${sql.join(sessions.map(sessionKey))})`)
      .where('healed_at', 'is', null)
      .execute();
  } catch (error) {
    throw toDatabaseError(error, `looking for losses of channel ${channelId}`);
  }
}
