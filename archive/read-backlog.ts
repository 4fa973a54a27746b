// How far the archive is behind what is known to exist: for operators, not for answers.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { rowsOf } from './read-sql.ts';

/** What is known of work and workers over all channels. */
export interface ArchiveBacklog {
  readonly channels: number;
  /** Channels whose lease somebody holds now. */
  readonly channelsWritten: number;
  readonly sessionsOpen: number;
  /** Messages of open sessions that exist and are not accounted for yet. */
  readonly messagesOutstanding: number;
}

/** The backlog now. */
export async function readBacklog(db: ArchiveDatabase): Promise<ArchiveBacklog> {
  const rows = await rowsOf(
    sql<ArchiveBacklog>`SELECT
      (SELECT count(*) FROM channels) AS channels,
      (SELECT count(*) FROM leases WHERE expires_at > now()) AS "channelsWritten",
      count(*) AS "sessionsOpen",
      coalesce(sum(greatest(lead - watermark, 0)), 0)::bigint AS "messagesOutstanding"
    FROM sessions WHERE state = 'open'`.execute(db),
  );
  return rows[0];
}
