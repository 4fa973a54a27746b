// Reads what the archive knows about channels, sessions and losses: the lists behind history and
// audit. Messages are read by read-messages.ts. Lists are walked by key, never by counting rows
// off, so that a page costs the same wherever it lies and nothing moves under the reader. Instants
// are microseconds since 1970.

import { type RawBuilder, sql } from 'kysely';
import { BackcastError, type ChannelAddress, type LossCause, type SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText, type SessionState } from './database-types.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** A channel and how far the archive holds it. */
export interface Channel extends ChannelAddress {
  readonly channelId: number;
  readonly name: string;
  readonly createdAtUs: number;
  /** The last archived position; 0 if nothing is archived yet. */
  readonly archivedThrough: number;
  /** The first position that is kept; null if none is. */
  readonly firstPosition: number | null;
  /** No position from this one on has been deleted; behind the last one if all have been. */
  readonly firstAvailable: number;
  /** The earliest and the latest publish time among what is kept; null if nothing is. */
  readonly publishedFromUs: number | null;
  readonly publishedThroughUs: number | null;
}

/** One publisher incarnation as the archive knows it. */
export interface ArchivedSession {
  readonly session: SessionId;
  /** The publisher's name; null if it has not told it. */
  readonly source: string | null;
  readonly tsi: string;
  /** Whether its source is not ours: numbers made of packet numbers, that do not begin at 1. */
  readonly isForeign: boolean;
  readonly state: SessionState;
  /** The first sequence that the archive accounts for. */
  readonly firstArchived: number;
  /** Every sequence from firstArchived through here is stored or declared lost. */
  readonly watermark: number;
  /** The highest sequence that the publisher is known to have reached. */
  readonly lead: number;
  readonly openedAtUs: number;
  readonly seenAtUs: number;
  readonly closedAtUs: number | null;
}

/** A loss as declared, healed or not. */
export interface ListedLoss {
  readonly session: SessionId;
  readonly source: string | null;
  readonly first: number;
  readonly last: number;
  /** Packets of a foreign source; null where every number from first to last is a message. */
  readonly packetCount: number | null;
  /** The packets that the loss lies in, from `firstSqn`, null if unknown, to before `nextSqn`. */
  readonly firstSqn: number | null;
  readonly nextSqn: number;
  readonly cause: LossCause;
  readonly afterPosition: number;
  readonly detectedAtUs: number;
  readonly declaredAtUs: number;
  readonly healedAtUs: number | null;
  readonly healedBy: string | null;
}

function selectChannels(db: ArchiveDatabase) {
  return db
    .selectFrom('channels')
    .select([
      'channel_id as channelId',
      'name',
      'framing',
      'group_address as group',
      'port',
      'dport',
      'created_at as createdAtUs',
    ]);
}

/** What of a channel is not about what it holds. */
export type ChannelPlace = Omit<Channel, keyof ChannelExtent>;
/** What of a channel is. */
export type ChannelExtent = Pick<
  Channel,
  'archivedThrough' | 'firstPosition' | 'firstAvailable' | 'publishedFromUs' | 'publishedThroughUs'
>;

/** Of a channel that was never written. */
export const NOTHING_ARCHIVED: ChannelExtent = {
  archivedThrough: 0,
  firstPosition: null,
  firstAvailable: 1,
  publishedFromUs: null,
  publishedThroughUs: null,
};

/**
 * Adds what is archived of each, in statements of their own: they read these channels' rows alone,
 * and a distributed server can send them to where those lie, which a join with `channels` prevents.
 */
async function withExtents(
  db: ArchiveDatabase,
  channels: readonly ChannelPlace[],
): Promise<Channel[]> {
  if (channels.length === 0) return [];
  const ids = channels.map((channel) => channel.channelId);
  const rows = await rowsOf(
    db
      .selectFrom('leases')
      .leftJoin('partition_bounds as kept', 'kept.channel_id', 'leases.channel_id')
      .where('leases.channel_id', 'in', ids)
      .select(({ fn }) => [
        'leases.channel_id as channelId',
        'leases.head as archivedThrough',
        fn.min('kept.first_position').as('firstPosition'),
        fn.min('kept.min_published_at').as('publishedFromUs'),
        fn.max('kept.max_published_at').as('publishedThroughUs'),
        // By itself, since the maximum of a group would read every deletion of the channel.
        sql<number>`1 + coalesce((SELECT max(last_position) FROM deletions
          WHERE deletions.channel_id = leases.channel_id), 0)`.as('firstAvailable'),
      ])
      .groupBy(['leases.channel_id', 'leases.head'])
      .execute(),
  );
  const extents = new Map(rows.map(({ channelId, ...extent }) => [channelId, extent]));
  return channels.map((channel) => {
    return { ...channel, ...(extents.get(channel.channelId) ?? NOTHING_ARCHIVED) };
  });
}

/** At most `limit` channels by name, those after `after` whose names match one of `patterns`. */
export async function listChannels(
  db: ArchiveDatabase,
  page: {
    readonly after: string | undefined;
    readonly limit: number;
    /** Any name if not given. */
    readonly patterns?: readonly string[] | undefined;
  },
): Promise<Channel[]> {
  const { patterns = ['*'] } = page;
  const rows = await rowsOf(
    selectChannels(db)
      .where(sql`name COLLATE "C"`, '>', page.after ?? '')
      .where(sql<boolean>`name LIKE ANY (${patterns.map(likePattern)}::text[])`)
      .orderBy(sql`name COLLATE "C"`)
      .limit(page.limit)
      .execute(),
  );
  return withExtents(db, rows);
}

/** A pattern of channel names, in which `*` stands for any characters, as LIKE has it. */
function likePattern(pattern: string): string {
  return pattern.replaceAll('_', '\\_').replaceAll('*', '%');
}

/** The channel called `name`; BACKCAST_CHANNEL_UNKNOWN if there is none. */
export async function findChannel(db: ArchiveDatabase, name: string): Promise<Channel> {
  const place = await findPlace(db, name);
  if (place === undefined) throw unknownChannel(name);
  const [channel] = await withExtents(db, [place]);
  return channel;
}

/** The channel called `name`, but for what it holds; undefined if there is none. */
export async function findPlace(
  db: ArchiveDatabase,
  name: string,
): Promise<ChannelPlace | undefined> {
  const rows = await rowsOf(selectChannels(db).where('name', '=', name).execute());
  return rows.at(0);
}

/** The error for a channel that is not known, or that must look so. */
export function unknownChannel(name: string): BackcastError {
  return new BackcastError(
    'BACKCAST_CHANNEL_UNKNOWN',
    `No channel is called "${name}". The list of channels names those that are recorded.`,
  );
}

function selectSessions(db: ArchiveDatabase, channel: Channel) {
  return db
    .selectFrom('sessions')
    .where('channel_id', '=', channel.channelId)
    .select([
      sessionText('session_id').as('session'),
      'source',
      'tsi',
      'is_foreign as isForeign',
      'state',
      'first_archived as firstArchived',
      'watermark',
      'lead',
      'opened_at as openedAtUs',
      'seen_at as seenAtUs',
      'closed_at as closedAtUs',
    ]);
}

/** Where a page of sessions goes on: behind this one. */
export interface SessionKeyset {
  readonly openedAtUs: number;
  readonly session: SessionId;
}

/** Which sessions of a channel. */
export interface SessionPage {
  readonly state?: ArchivedSession['state'] | undefined;
  readonly session?: SessionId | undefined;
  readonly after: SessionKeyset | undefined;
  readonly limit: number;
}

/**
 * At most `limit` sessions of a channel, the latest first, those behind `after`; only those of a
 * state, or only the one of a name.
 */
export function listSessions(
  db: ArchiveDatabase,
  channel: Channel,
  { state, session, after, limit }: SessionPage,
): Promise<ArchivedSession[]> {
  const isState = state === undefined ? sql<boolean>`true` : sql<boolean>`state = ${state}`;
  const isNamed =
    session === undefined ? sql<boolean>`true` : sql<boolean>`session_id = ${sessionKey(session)}`;
  return rowsOf(
    selectSessions(db, channel)
      .where(isState)
      .where(isNamed)
      .where(behindSession(after))
      .orderBy('opened_at', 'desc')
      .orderBy('session_id', 'desc')
      .limit(limit)
      .execute(),
  );
}

function behindSession(after: SessionKeyset | undefined): RawBuilder<boolean> {
  if (after === undefined) return sql<boolean>`true`;
  const { openedAtUs, session } = after;
  const key = sql`(${instantValue(openedAtUs)}, ${sessionKey(session)})`;
  return sql<boolean>`(opened_at, session_id) < ${key}`;
}

/** A session of a channel; BACKCAST_SESSION_UNKNOWN if the archive never heard it there. */
export async function findSession(
  db: ArchiveDatabase,
  channel: Channel,
  session: SessionId,
): Promise<ArchivedSession> {
  const rows = await rowsOf(
    selectSessions(db, channel)
      .where(sql<boolean>`session_id = ${sessionKey(session)}`)
      .execute(),
  );
  const found = rows.at(0);
  if (found !== undefined) return found;
  throw new BackcastError(
    'BACKCAST_SESSION_UNKNOWN',
    `Channel "${channel.name}" never had the session ${session}. Its list of sessions names all.`,
  );
}

/** Those of `sessions` that the archive has heard on the channel. */
export async function findKnownSessions(
  db: ArchiveDatabase,
  channel: Channel,
  sessions: readonly SessionId[],
): Promise<ReadonlyMap<SessionId, ArchivedSession>> {
  if (sessions.length === 0) return new Map();
  const keys = sql.join(sessions.map((session) => sessionKey(session)));
  const found = await rowsOf(
    selectSessions(db, channel).where(sql<boolean>`session_id IN (${keys})`).execute(),
  );
  return new Map(found.map((one) => [one.session, one]));
}

/**
 * At most `limit` sessions that may still bring messages published before `endUs`, as far as the
 * sessions themselves can tell: open, and not heard since or with messages outstanding.
 */
export function listUnsettledSessions(
  db: ArchiveDatabase,
  channel: Channel,
  endUs: number,
  limit: number,
): Promise<ArchivedSession[]> {
  return rowsOf(
    selectSessions(db, channel)
      .where('state', '=', 'open')
      .where(sql<boolean>`(seen_at < ${instantValue(endUs)} OR lead > watermark)`)
      .limit(limit)
      .execute(),
  );
}

/** Where a session comes from. */
export type SessionOrigin = Pick<ArchivedSession, 'source' | 'isForeign'>;

/** Where these sessions come from; one that the archive does not know is left out. */
export async function loadOrigins(
  db: ArchiveDatabase,
  channel: Channel,
  sessions: readonly SessionId[],
): Promise<Map<SessionId, SessionOrigin>> {
  if (sessions.length === 0) return new Map();
  const rows = await rowsOf(
    selectSessions(db, channel)
      .where(sql<boolean>`session_id IN (${sql.join(sessions.map(sessionKey))})`)
      .execute(),
  );
  return new Map(rows.map(({ session, source, isForeign }) => [session, { source, isForeign }]));
}

/** The names of publishers by session; a session without a name is left out. */
export async function loadSources(
  db: ArchiveDatabase,
  channel: Channel,
  sessions: readonly SessionId[],
): Promise<Map<SessionId, string>> {
  const origins = await loadOrigins(db, channel, sessions);
  return new Map(
    [...origins].flatMap(([session, { source }]) => (source === null ? [] : [[session, source]])),
  );
}

/** Where a page of losses goes on: behind this one. */
export interface LossKeyset {
  readonly afterPosition: number;
  readonly session: SessionId;
  readonly first: number;
}

/** Which losses to list. */
export interface LossPage {
  readonly session: SessionId | undefined;
  readonly after: LossKeyset | undefined;
  readonly limit: number;
}

/** At most `limit` losses in the order of the channel, healed ones too, those behind `after`. */
export function listLosses(
  db: ArchiveDatabase,
  channel: Channel,
  page: LossPage,
): Promise<ListedLoss[]> {
  let query = db
    .selectFrom('losses')
    .leftJoin('sessions', (join) =>
      join
        .onRef('sessions.channel_id', '=', 'losses.channel_id')
        .onRef('sessions.session_id', '=', 'losses.session_id'),
    )
    .where('losses.channel_id', '=', channel.channelId)
    .where(behindLoss(page.after));
  if (page.session !== undefined) {
    query = query.where(sql<boolean>`losses.session_id = ${sessionKey(page.session)}`);
  }
  return rowsOf(
    query
      .select([
        sessionText('losses.session_id').as('session'),
        'sessions.source',
        'losses.first_sequence as first',
        'losses.last_sequence as last',
        'losses.packet_count as packetCount',
        'losses.first_sqn as firstSqn',
        'losses.next_sqn as nextSqn',
        'losses.cause',
        'losses.after_position as afterPosition',
        'losses.detected_at as detectedAtUs',
        'losses.declared_at as declaredAtUs',
        'losses.healed_at as healedAtUs',
        'losses.healed_by as healedBy',
      ])
      .orderBy('losses.after_position')
      .orderBy('losses.session_id')
      .orderBy('losses.first_sequence')
      .limit(page.limit)
      .execute(),
  );
}

function behindLoss(after: LossKeyset | undefined): RawBuilder<boolean> {
  if (after === undefined) return sql<boolean>`true`;
  const { afterPosition, session, first } = after;
  return sql<boolean>`(losses.after_position, losses.session_id, losses.first_sequence)
    > (${afterPosition}::bigint, ${sessionKey(session)}, ${first}::bigint)`;
}
