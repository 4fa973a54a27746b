// Legal holds: intervals of a channel that retention must not touch. A hold covers what was
// published in its interval and, to be safe, the whole days in which something was archived in it.
// Adding one takes the same rows as a deletion does: either the hold is there before the deletion
// looks, or the deletion has noted what is gone before the hold looks.

import { sql } from 'kysely';
import { BackcastError, formatInstant } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { Channel } from './read.ts';
import { explained, instantValue, rowsOf } from './read-sql.ts';
import type { HoldInterval } from './retention-plan.ts';
import { sqlStateOf } from './sqlstate.ts';

/** A hold as it was added. */
export interface Hold extends HoldInterval {
  readonly reason: string;
  readonly createdAtUs: number;
}

/** A hold with the name of its channel. */
export interface ListedHold extends Hold {
  readonly channel: string;
}

/** What to hold. */
export interface NewHold {
  readonly name: string;
  readonly reason: string;
  /** Left out: from the oldest message that is kept. */
  readonly fromUs: number | undefined;
  /** Exclusive; left out: until the hold is removed. */
  readonly toUs: number | undefined;
}

/** The holds of a channel, or of all, by channel and name. */
export function loadHolds(db: ArchiveDatabase, channelId?: number): Promise<Hold[]> {
  const which = channelId === undefined ? sql`true` : sql`channel_id = ${channelId}`;
  const query = sql<Hold>`
    SELECT ${HOLD_COLUMNS} FROM holds WHERE ${which} ORDER BY channel_id, name`;
  return rowsOf(query.execute(db));
}

/** The holds of `channel`, or of every channel, by names. */
export function listHolds(db: ArchiveDatabase, channel?: string): Promise<ListedHold[]> {
  const which = channel === undefined ? sql`true` : sql`channels.name = ${channel}`;
  return rowsOf(
    sql<ListedHold>`
      SELECT channels.name AS channel, ${HOLD_COLUMNS}
      FROM holds JOIN channels USING (channel_id)
      WHERE ${which} ORDER BY channels.name COLLATE "C", holds.name COLLATE "C"`.execute(db),
  );
}

const HOLD_COLUMNS = sql`channel_id AS "channelId", holds.name, from_time AS "fromUs",
  to_time AS "toUs", holds.created_at AS "createdAtUs", reason`;

/**
 * Adds a hold; from its return on, retention touches nothing of the interval. BACKCAST_HOLD_EXISTS
 * if the channel has one of that name; BACKCAST_HISTORY_GONE, and nothing is added, if something of
 * the interval has been deleted already; BACKCAST_RANGE_INVERTED.
 */
export async function addHold(
  db: ArchiveDatabase,
  channel: Pick<Channel, 'channelId' | 'name'>,
  wanted: NewHold,
): Promise<Hold> {
  const { name, reason, toUs } = wanted;
  const added = db.transaction().execute(async (transaction) => {
    const earliestUs = await keepBounds(transaction, channel.channelId);
    const fromUs = wanted.fromUs ?? earliestUs;
    if (toUs !== undefined && toUs <= fromUs) throw inverted(wanted, fromUs);
    const { rows } = await sql<Hold>`
      INSERT INTO holds (from_time, to_time, created_at, channel_id, name, reason)
      VALUES (${instantValue(fromUs)}, ${toUs === undefined ? null : instantValue(toUs)}, now(),
              ${channel.channelId}, ${name}, ${reason})
      RETURNING ${HOLD_COLUMNS}`
      .execute(transaction)
      .catch((error: unknown) => {
        throw sqlStateOf(error) === '23505' ? taken(channel, name) : error;
      });
    await assertNothingGone(transaction, channel, rows[0]);
    return rows[0];
  });
  return explained(added);
}

/** Removes a hold and returns it. BACKCAST_HOLD_UNKNOWN if there is none of that name. */
export async function removeHold(
  db: ArchiveDatabase,
  channel: Pick<Channel, 'channelId' | 'name'>,
  name: string,
): Promise<Hold> {
  const rows = await rowsOf(
    sql<Hold>`
      DELETE FROM holds WHERE channel_id = ${channel.channelId} AND name = ${name}
      RETURNING ${HOLD_COLUMNS}`.execute(db),
  );
  if (rows[0] !== undefined) return rows[0];
  throw new BackcastError(
    'BACKCAST_HOLD_UNKNOWN',
    `channel ${channel.name} has no hold called "${name}". backcast hold list names those it has.`,
  );
}

/**
 * Waits for a deletion that is on its way and lets none begin until the transaction ends; appends
 * go on. The earliest instant of what is kept, or now if nothing is.
 */
async function keepBounds(db: ArchiveDatabase, channelId: number): Promise<number> {
  const { rows } = await sql<{ dayUs: number; publishedUs: number }>`
    SELECT partition_start AS "dayUs", min_published_at AS "publishedUs" FROM partition_bounds
    WHERE channel_id = ${channelId} ORDER BY partition_start FOR KEY SHARE`.execute(db);
  const now = await sql<{ us: number }>`SELECT now() AS us`.execute(db);
  return rows.reduce(
    (earliest, { dayUs, publishedUs }) => Math.min(earliest, dayUs, publishedUs),
    now.rows[0].us,
  );
}

/** A statement of its own: it sees what a deletion has noted while we waited for its rows. */
async function assertNothingGone(
  db: ArchiveDatabase,
  channel: Pick<Channel, 'channelId' | 'name'>,
  { fromUs, toUs }: HoldInterval,
): Promise<void> {
  const before = toUs === null ? sql`` : sql` AND min_published_at < ${instantValue(toUs)}`;
  const { rows } = await sql<{ messages: number; throughUs: number | null }>`
    SELECT coalesce(sum(message_count), 0)::bigint AS messages,
           max(max_published_at) AS "throughUs"
    FROM deletions
    WHERE channel_id = ${channel.channelId}
      AND max_published_at >= ${instantValue(fromUs)}${before}`.execute(db);
  const [{ messages, throughUs }] = rows;
  if (throughUs === null) return;
  throw new BackcastError(
    'BACKCAST_HISTORY_GONE',
    `up to ${messages} messages of this interval of channel ${channel.name} have been deleted ` +
      `already, published until ${formatInstant(throughUs)}: no hold was added. ` +
      'Begin it after that instant to hold what is left.',
  );
}

function inverted({ toUs }: NewHold, fromUs: number): BackcastError {
  return new BackcastError(
    'BACKCAST_RANGE_INVERTED',
    `a hold from ${formatInstant(fromUs)} cannot end at ${formatInstant(toUs ?? fromUs)}.`,
  );
}

function taken({ name: channel }: Pick<Channel, 'name'>, name: string): BackcastError {
  return new BackcastError(
    'BACKCAST_HOLD_EXISTS',
    `channel ${channel} has a hold called "${name}" already. Give this one another name.`,
  );
}
