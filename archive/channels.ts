// Channels and sessions as an archiver meets them: making a channel known, and finding out where an
// earlier run of the archiver left off.

import { sql } from 'kysely';
import type { ChannelAddress } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import { toDatabaseError } from './sqlstate.ts';
import type { SessionProgress } from './types.ts';

/**
 * The id of the channel `name`, which is made known, with its lease row, if it is not yet. A
 * changed address is taken over. Idempotent, and safe when several archivers do it at once.
 */
export async function ensureChannel(
  database: ArchiveDatabase,
  name: string,
  address: ChannelAddress,
): Promise<number> {
  const place = {
    group_address: address.group,
    port: address.port,
    dport: address.dport,
    framing: address.framing,
  };
  try {
    const known = await database
      .selectFrom('channels')
      .select(['channel_id', 'group_address', 'port', 'dport', 'framing'])
      .where('name', '=', name)
      .executeTakeFirst();
    if (known === undefined) return await insertChannel(database, name, place);
    const isSame =
      known.group_address === address.group &&
      known.port === address.port &&
      known.dport === address.dport &&
      known.framing === address.framing;
    if (!isSame)
      await database.updateTable('channels').set(place).where('name', '=', name).execute();
    await insertLease(database, known.channel_id);
    return known.channel_id;
  } catch (error) {
    throw toDatabaseError(error, `making the channel ${name} known`);
  }
}

/** A session that was heard this long ago may still have a publisher that lingers or comes back. */
const SESSION_MEMORY = '7 days';

/**
 * The sessions of a channel that may be heard again, in no particular order: the open ones, and
 * those last heard within SESSION_MEMORY. An archiver that did not know a session that is over
 * would take its last heartbeats for a new one.
 */
export async function loadSessions(
  database: ArchiveDatabase,
  channelId: number,
): Promise<SessionProgress[]> {
  try {
    const rows = await database
      .selectFrom('sessions')
      .select(['source', 'tsi', 'state', 'first_archived', 'watermark', 'lead', 'resume_sqn'])
      .select([sessionText('session_id').as('session')])
      .where('channel_id', '=', channelId)
      .where((is) =>
        is.or([
          is('state', '=', 'open'),
          is('seen_at', '>', sql<number>`now() - ${SESSION_MEMORY}::interval`),
        ]),
      )
      .execute();
    return rows.map((row) => ({
      session: row.session,
      ...(row.source === null ? {} : { source: row.source }),
      tsi: row.tsi,
      state: row.state,
      firstArchived: row.first_archived,
      watermark: row.watermark,
      lead: row.lead,
      resumeSqn: row.resume_sqn,
    }));
  } catch (error) {
    throw toDatabaseError(error, `loading the sessions of channel ${channelId}`);
  }
}

async function insertChannel(
  database: ArchiveDatabase,
  name: string,
  place: ChannelPlace,
): Promise<number> {
  await database
    .insertInto('channels')
    .values({ name, ...place })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const made = await database
    .selectFrom('channels')
    .select('channel_id')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  await insertLease(database, made.channel_id);
  return made.channel_id;
}

interface ChannelPlace {
  readonly group_address: string;
  readonly port: number;
  readonly dport: number;
  readonly framing: ChannelAddress['framing'];
}

async function insertLease(database: ArchiveDatabase, channelId: number): Promise<void> {
  await database
    .insertInto('leases')
    .values({
      channel_id: channelId,
      epoch: 0,
      head: 0,
      expires_at: '1970-01-01T00:00:00Z',
      holder: null,
    })
    .onConflict((conflict) => conflict.column('channel_id').doNothing())
    .execute();
}
