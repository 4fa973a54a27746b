// Reads which archivers hear a channel and how far each of them is, as they said last. What a
// reader can rely on is what is archived, which all of them share: that is the channel's own.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { rowsOf } from './read-sql.ts';

/** An archiver that hears a channel, as it said at `seenAtUs`, every few seconds. */
export interface ChannelArchiver {
  readonly channelId: number;
  readonly name: string;
  /** Whether it holds the lease of the channel, and that has not ended. */
  readonly isWriting: boolean;
  readonly seenAtUs: number;
  /** When it last heard a datagram of the channel. */
  readonly heardAtUs: number;
  /**
   * The position that the last message it heard has or will have. A crash loses what is behind
   * `spooled`, unless the publisher or another archiver still has it.
   */
  readonly received: number;
  /** Messages up to this position are on its disk, or archived. */
  readonly spooled: number;
}

/**
 * The archivers of these channels, by name. One that has stopped is not among them; one that
 * crashed is for a day, not seen any more.
 */
export function listArchivers(
  db: ArchiveDatabase,
  channelIds: readonly number[],
): Promise<ChannelArchiver[]> {
  if (channelIds.length === 0) return Promise.resolve([]);
  return rowsOf(
    db
      .selectFrom('candidates')
      .leftJoin('leases', 'leases.channel_id', 'candidates.channel_id')
      .where('candidates.channel_id', 'in', [...channelIds])
      .select([
        'candidates.channel_id as channelId',
        'candidates.holder as name',
        'candidates.seen_at as seenAtUs',
        'candidates.heard_at as heardAtUs',
        'candidates.received_position as received',
        'candidates.spooled_position as spooled',
      ])
      .select(
        sql<boolean>`coalesce(leases.holder = candidates.holder AND leases.expires_at > now(),
                              false)`.as('isWriting'),
      )
      .orderBy('candidates.holder')
      .execute(),
  );
}
