// How far the archive is behind what is known to exist: for operators, not for answers.

import { sql } from 'kysely';
import { ZMQ_SEQUENCES_PER_PACKET } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { rowsOf } from './read-sql.ts';

/** What is known of work and workers over all channels. */
export interface ArchiveBacklog {
  readonly channels: number;
  /** Channels whose lease somebody holds now. */
  readonly channelsWritten: number;
  readonly sessionsOpen: number;
  /**
   * Messages of open sessions that exist and are not accounted for yet; of foreign sources packets,
   * since nobody knows how many messages they hold.
   */
  readonly messagesOutstanding: number;
}

/** The backlog now. */
export async function readBacklog(db: ArchiveDatabase): Promise<ArchiveBacklog> {
  const numbers = sql.raw(String(ZMQ_SEQUENCES_PER_PACKET));
  const rows = await rowsOf(
    sql<ArchiveBacklog>`SELECT
      (SELECT count(*) FROM channels) AS channels,
      (SELECT count(*) FROM leases WHERE expires_at > now()) AS "channelsWritten",
      count(*) AS "sessionsOpen",
      coalesce(sum(greatest(0, CASE
        WHEN is_foreign AND watermark = 0 THEN 0
        WHEN is_foreign AND framing = 'zmq'
          THEN lead / ${numbers} - watermark / ${numbers}
        ELSE lead - watermark END)), 0)::bigint AS "messagesOutstanding"
    FROM sessions JOIN channels USING (channel_id) WHERE state = 'open'`.execute(db),
  );
  return rows[0];
}
