// Channels and sessions as an archiver meets them: making a channel known, and finding out where an
// earlier run of the archiver left off.

import { sql } from 'kysely';
import {
  BackcastError,
  type ChannelAddress,
  type Framing,
  SESSIONS_REMEMBERED_MAX,
  type SessionId,
} from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionParameter, sessionText } from './database-types.ts';
import { sessionKey } from './read-sql.ts';
import { toDatabaseError } from './sqlstate.ts';
import type { SessionProgress } from './types.ts';

/**
 * The id of the channel `name`, which is made known, with its lease row, if it is not yet. A
 * changed address is taken over. Idempotent, and safe when several archivers do it at once. Throws
 * BACKCAST_FRAMING_CHANGED if the channel has sessions that were archived with another framing.
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
    if (known.framing !== address.framing) await assertNoSessions(database, name, known);
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
 * The sessions of a channel that may be heard again, those opened last at the end: the open ones,
 * and of those last heard within SESSION_MEMORY the latest, one more than an archiver keeps in
 * mind, if there are so many. An archiver that did not know a session that is over would take its
 * last heartbeats for a new one.
 */
export async function loadSessions(
  database: ArchiveDatabase,
  channelId: number,
): Promise<SessionProgress[]> {
  const ofChannel = selectProgress(database).where('channel_id', '=', channelId);
  try {
    const open = await ofChannel.where('state', '=', 'open').execute();
    const over = await ofChannel
      .where('state', '<>', 'open')
      .where('seen_at', '>', sql<number>`now() - ${SESSION_MEMORY}::interval`)
      .orderBy('opened_at', 'desc')
      .limit(SESSIONS_REMEMBERED_MAX + 1)
      .execute();
    return [...over, ...open].toSorted((a, b) => a.opened_at - b.opened_at).map(toProgress);
  } catch (error) {
    throw toDatabaseError(error, `loading the sessions of channel ${channelId}`);
  }
}

/**
 * What the archive has of `sessions` of a channel, however long ago; those never heard are missing.
 */
export async function findSessions(
  database: ArchiveDatabase,
  channelId: number,
  sessions: readonly SessionId[],
): Promise<SessionProgress[]> {
  if (sessions.length === 0) return [];
  try {
    const found = await selectProgress(database)
      .where('channel_id', '=', channelId)
      .where(sql<boolean>`session_id IN (${sql.join(sessions.map(sessionKey))})`)
      .execute();
    return found.map(toProgress);
  } catch (error) {
    throw toDatabaseError(error, `looking for sessions of channel ${channelId}`);
  }
}

/** The sessions of foreign sources of a channel with these TSIs that are not over. */
export async function findForeignSessions(
  database: ArchiveDatabase,
  channelId: number,
  tsis: readonly string[],
): Promise<SessionProgress[]> {
  if (tsis.length === 0) return [];
  try {
    const found = await selectProgress(database)
      .where('channel_id', '=', channelId)
      .where('is_foreign', '=', true)
      .where('state', '=', 'open')
      .where('tsi', 'in', [...tsis])
      .execute();
    return found.map(toProgress);
  } catch (error) {
    throw toDatabaseError(error, `looking for foreign sessions of channel ${channelId}`);
  }
}

/** The same for sessions of many channels, each with its channel. */
export async function readProgress(
  database: ArchiveDatabase,
  asked: readonly { readonly channelId: number; readonly session: SessionId }[],
): Promise<(SessionProgress & { readonly channelId: number })[]> {
  if (asked.length === 0) return [];
  const channelIds = [...new Set(asked.map(({ channelId }) => channelId))];
  const sessions = [...new Set(asked.map(({ session }) => sessionParameter(session)))];
  const found = await selectProgress(database)
    .where('channel_id', '=', sql<number>`ANY (${channelIds}::int[])`)
    .where(sql<boolean>`session_id = ANY (${sessions}::bigint[])`)
    .execute();
  return found.map((row) => ({ channelId: row.channel_id, ...toProgress(row) }));
}

function selectProgress(database: ArchiveDatabase) {
  return database
    .selectFrom('sessions')
    .select(['channel_id', 'source', 'tsi', 'is_foreign', 'state', 'opened_at'])
    .select(['first_archived', 'watermark', 'lead', 'resume_sqn'])
    .select([sessionText('session_id').as('session')]);
}

type ProgressRow = Awaited<ReturnType<ReturnType<typeof selectProgress>['execute']>>[number];

function toProgress(row: ProgressRow): SessionProgress {
  return {
    session: row.session,
    ...(row.source === null ? {} : { source: row.source }),
    tsi: row.tsi,
    isForeign: row.is_foreign,
    state: row.state,
    firstArchived: row.first_archived,
    watermark: row.watermark,
    lead: row.lead,
    resumeSqn: row.resume_sqn,
  };
}

/** What a message of a channel is, and what its numbers mean, hangs on the framing. */
async function assertNoSessions(
  database: ArchiveDatabase,
  name: string,
  known: { readonly channel_id: number; readonly framing: Framing },
): Promise<void> {
  const session = await database
    .selectFrom('sessions')
    .select('channel_id')
    .where('channel_id', '=', known.channel_id)
    .limit(1)
    .executeTakeFirst();
  if (session === undefined) return;
  throw new BackcastError(
    'BACKCAST_FRAMING_CHANGED',
    `the channel ${name} is archived with the framing ${known.framing}; give what has another ` +
      'framing a channel of its own.',
  );
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
      commits: 0,
      expires_at: '1970-01-01T00:00:00Z',
      holder: null,
    })
    .onConflict((conflict) => conflict.column('channel_id').doNothing())
    .execute();
}
