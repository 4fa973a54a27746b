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

/**
 * The backlog now. Each number is counted by a statement of its own over one kind of table, as a
 * server that is several servers can run it; so the numbers may be a moment apart.
 */
export async function readBacklog(db: ArchiveDatabase): Promise<ArchiveBacklog> {
  const numbers = sql.raw(String(ZMQ_SEQUENCES_PER_PACKET));
  const [known] = await rowsOf(
    sql<Pick<ArchiveBacklog, 'channels'>>`SELECT count(*) AS channels FROM channels`.execute(db),
  );
  const [written] = await rowsOf(
    sql<Pick<ArchiveBacklog, 'channelsWritten'>>`SELECT count(*) AS "channelsWritten"
    FROM leases WHERE expires_at > now()`.execute(db),
  );
  const [outstanding] = await rowsOf(
    sql<Pick<ArchiveBacklog, 'sessionsOpen' | 'messagesOutstanding'>>`SELECT
      count(*) AS "sessionsOpen",
      coalesce(sum(greatest(0, CASE
        WHEN is_foreign AND watermark = 0 THEN 0
        WHEN is_foreign AND framing = 'zmq'
          THEN lead / ${numbers} - watermark / ${numbers}
        ELSE lead - watermark END)), 0)::bigint AS "messagesOutstanding"
    FROM sessions JOIN channels ON channels.channel_id = sessions.channel_id
    WHERE state = 'open'`.execute(db),
  );
  return { ...known, ...written, ...outstanding };
}
