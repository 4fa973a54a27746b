// Reads what a watcher of channels looks at many times a second: where the archive of each ends.
// One statement for all of them, of rows that are in memory anyway.

import type { SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import { rowsOf } from './read-sql.ts';

/** Where the archive of a channel ends. */
export interface ChannelHead {
  readonly channelId: number;
  /** The last archived position; 0 if nothing is archived. Goes back only if the server did. */
  readonly head: number;
  /** Batches committed, also those without a message: what changes when anything does. */
  readonly commits: number;
}

/** The heads of these channels; a channel that nobody ever wrote has none. */
export function readHeads(
  db: ArchiveDatabase,
  channelIds: readonly number[],
): Promise<ChannelHead[]> {
  if (channelIds.length === 0) return Promise.resolve([]);
  return rowsOf(
    db
      .selectFrom('leases')
      .where('channel_id', 'in', [...channelIds])
      .select(['channel_id as channelId', 'head', 'commits'])
      .execute(),
  );
}

/** At most `limit` open sessions of a channel with their publishers' names, latest first. */
export function listOpenSessions(
  db: ArchiveDatabase,
  channelId: number,
  limit: number,
): Promise<{ readonly session: SessionId; readonly source: string | null }[]> {
  return rowsOf(
    db
      .selectFrom('sessions')
      .where('channel_id', '=', channelId)
      .where('state', '=', 'open')
      .select([sessionText('session_id').as('session'), 'source'])
      .orderBy('opened_at', 'desc')
      .limit(limit)
      .execute(),
  );
}
