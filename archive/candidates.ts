// The archivers that could write a channel, as each of them says of itself: that it is there, when
// it last heard the channel, and how far it has got. All instants are of the database's clock.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/** An archiver that hears a channel, or should. */
export interface Candidate {
  readonly channelId: number;
  readonly holder: string;
  /** How long ago it said so. */
  readonly seenAgoMs: number;
  /** How long before that it had last heard a datagram. */
  readonly silentMs: number;
}

/** A channel that this archiver could write. */
export interface OwnCandidacy {
  readonly channelId: number;
  /** How long ago a datagram of it was heard. */
  readonly silentMs: number;
  /** The position that the last message heard has or will have. */
  readonly receivedPosition: number;
  /** Messages up to here are on this archiver's disk, or archived. */
  readonly spooledPosition: number;
}

/** Archivers that have not been seen for so long are forgotten. */
const FORGOTTEN_AFTER = '1 day';

/**
 * Says of each channel that this archiver is there, how long it has heard nothing, and how far it
 * has got.
 */
export async function announceCandidate(
  database: ArchiveDatabase,
  holder: string,
  own: readonly OwnCandidacy[],
): Promise<void> {
  if (own.length === 0) return;
  const channelIds = own.map(({ channelId }) => channelId);
  const silences = own.map(({ silentMs }) => Math.round(silentMs));
  const received = own.map(({ receivedPosition }) => receivedPosition);
  const spooled = own.map(({ spooledPosition }) => spooledPosition);
  try {
    await sql`
      INSERT INTO candidates
        (channel_id, holder, seen_at, heard_at, received_position, spooled_position)
      SELECT own.channel_id, ${holder}, now(), now() - own.silent_ms * interval '1 millisecond',
             own.received, own.spooled
      FROM unnest(${channelIds}::int[], ${silences}::bigint[], ${received}::bigint[],
                  ${spooled}::bigint[]) AS own (channel_id, silent_ms, received, spooled)
      ON CONFLICT (channel_id, holder) DO UPDATE
        SET seen_at = excluded.seen_at, heard_at = excluded.heard_at,
            received_position = excluded.received_position,
            spooled_position = excluded.spooled_position`.execute(database);
    await sql`
      DELETE FROM candidates
      WHERE channel_id = ANY (${channelIds}::int[])
        AND seen_at < now() - ${FORGOTTEN_AFTER}::interval`.execute(database);
  } catch (error) {
    throw toDatabaseError(error, 'announcing an archiver');
  }
}

/** Takes back what was announced: this archiver stops. */
export async function withdrawCandidate(
  database: ArchiveDatabase,
  holder: string,
  channelIds: readonly number[],
): Promise<void> {
  try {
    await database
      .deleteFrom('candidates')
      .where('channel_id', '=', sql<number>`ANY (${[...channelIds]}::int[])`)
      .where('holder', '=', holder)
      .execute();
  } catch (error) {
    throw toDatabaseError(error, 'withdrawing an archiver');
  }
}

/** All who could write these channels. */
export async function readCandidates(
  database: ArchiveDatabase,
  channelIds: readonly number[],
): Promise<Candidate[]> {
  if (channelIds.length === 0) return [];
  try {
    return await database
      .selectFrom('candidates')
      .select(['channel_id as channelId', 'holder'])
      .select(sql<number>`extract(epoch from now() - seen_at)::float8 * 1000`.as('seenAgoMs'))
      .select(sql<number>`extract(epoch from seen_at - heard_at)::float8 * 1000`.as('silentMs'))
      .where('channel_id', '=', sql<number>`ANY (${[...channelIds]}::int[])`)
      .execute();
  } catch (error) {
    throw toDatabaseError(error, 'reading who could write channels');
  }
}
