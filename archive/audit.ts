// The auditor: proves from the stored rows that every sequence is accounted for. For each session,
// stored, lost and deleted by policy are apart and together exactly [first_archived, watermark],
// where a message of a foreign source accounts for numbers behind it that name none; the positions
// of a channel are 1 through its head; what helps to find rows agrees with the rows. Reads one
// channel at a time in one snapshot, so that it can run beside a writing archiver. Its cost is one
// reading of all messages.

import { sql } from 'kysely';
import type { Transaction } from 'kysely';
import type { SessionId } from '#base/mod.ts';
import { AUDIT_QUESTIONS } from './audit-queries.ts';
import type { AuditProblemKind } from './audit-queries.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import { unknownChannel } from './read.ts';
import { toDatabaseError } from './sqlstate.ts';

/**
 * Something that does not add up: these sequences of `session`, or these positions if there is
 * none.
 */
export interface AuditProblem {
  readonly kind: AuditProblemKind;
  readonly session?: SessionId;
  readonly first: number;
  readonly last: number;
}

/** What the audit of one channel found. */
export interface ChannelAudit {
  readonly channel: string;
  readonly channelId: number;
  /** The last archived position. */
  readonly head: number;
  readonly sessionCount: number;
  /** Messages that are to be accounted for, over all sessions: stored, lost and deleted. */
  readonly dueCount: number;
  readonly storedCount: number;
  /** Messages that were stored and have been deleted by a policy. */
  readonly deletedCount: number;
  /**
   * Messages declared lost and not healed. A lost packet of a foreign source counts once, since
   * nobody knows how many messages it held.
   */
  readonly lostCount: number;
  /** How many of these are packets. */
  readonly lostPacketCount: number;
  /** Sequences that were declared lost and are stored now. */
  readonly healedCount: number;
  /** How often something came twice with different bytes; what came first is stored. */
  readonly conflictCount: number;
  /** Empty: everything is accounted for. At most PROBLEMS_PER_QUESTION_MAX of each question. */
  readonly problems: readonly AuditProblem[];
}

/**
 * Audits `channel`, or every channel in the order of names. Throws BACKCAST_CHANNEL_UNKNOWN,
 * BACKCAST_DATABASE_UNREACHABLE, BACKCAST_SCHEMA_MISSING; what it finds wrong is in the answer.
 */
export async function audit(
  database: ArchiveDatabase,
  options: { readonly channel?: string } = {},
): Promise<ChannelAudit[]> {
  try {
    const channels = await findChannels(database, options.channel);
    const audits: ChannelAudit[] = [];
    for (const { channel_id, name } of channels) {
      audits.push(await auditChannel(database, channel_id, name));
    }
    return audits;
  } catch (error) {
    throw toDatabaseError(error, 'auditing the archive');
  }
}

async function findChannels(
  database: ArchiveDatabase,
  name: string | undefined,
): Promise<{ channel_id: number; name: string }[]> {
  let query = database.selectFrom('channels').select(['channel_id', 'name']).orderBy('name');
  if (name !== undefined) query = query.where('name', '=', name);
  const channels = await query.execute();
  if (channels.length === 0 && name !== undefined) {
    throw unknownChannel(name);
  }
  return channels;
}

async function auditChannel(
  database: ArchiveDatabase,
  channelId: number,
  channel: string,
): Promise<ChannelAudit> {
  return database
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (snapshot) => {
      await sql`SET LOCAL statement_timeout = 0`.execute(snapshot);
      // Before the snapshot is taken: a partition dropped after it would be missed and not excused.
      await sql`LOCK TABLE segments, segment_sessions IN ACCESS SHARE MODE`.execute(snapshot);
      const totals = await readTotals(snapshot, channelId);
      const problems: AuditProblem[] = [];
      for (const question of AUDIT_QUESTIONS) {
        const { rows } = await question(channelId).execute(snapshot);
        for (const { kind, session, first, last } of rows) {
          const whose = session === null ? {} : { session: session as SessionId };
          problems.push({ kind, ...whose, first, last });
        }
      }
      return { channel, channelId, ...totals, problems };
    });
}

type Totals = Omit<ChannelAudit, 'channel' | 'channelId' | 'problems'>;

async function readTotals(
  snapshot: Transaction<ArchiveTables>,
  channelId: number,
): Promise<Totals> {
  const { rows } = await sql<Totals>`
    SELECT
      coalesce((SELECT head FROM leases WHERE channel_id = ${channelId}), 0) AS head,
      (SELECT count(*) FROM sessions WHERE channel_id = ${channelId}) AS "sessionCount",
      (SELECT coalesce(sum(watermark - first_archived + 1), 0)::bigint
       FROM sessions WHERE channel_id = ${channelId} AND NOT is_foreign)
      + (SELECT coalesce(sum(run.length), 0)::bigint
         FROM segments segment,
              unnest(segment.run_session, segment.run_length) AS run (session_id, length)
         JOIN sessions ON sessions.session_id = run.session_id
         WHERE segment.channel_id = ${channelId}
           AND sessions.channel_id = ${channelId} AND is_foreign)
      + (SELECT coalesce(sum(message_count), 0)::bigint
         FROM deletions JOIN sessions USING (channel_id, session_id)
         WHERE channel_id = ${channelId} AND is_foreign)
      + (SELECT coalesce(sum(packet_count), 0)::bigint
         FROM losses WHERE channel_id = ${channelId} AND healed_at IS NULL) AS "dueCount",
      (SELECT coalesce(sum(message_count), 0)::bigint
       FROM segments WHERE channel_id = ${channelId}) AS "storedCount",
      (SELECT coalesce(sum(message_count), 0)::bigint
       FROM deletions WHERE channel_id = ${channelId}) AS "deletedCount",
      lost.count AS "lostCount",
      lost.packets AS "lostPacketCount",
      (SELECT coalesce(sum(last_sequence - first_sequence + 1), 0)::bigint
       FROM losses WHERE channel_id = ${channelId} AND healed_at IS NOT NULL) AS "healedCount",
      (SELECT count(*) FROM conflicts WHERE channel_id = ${channelId}) AS "conflictCount"
    FROM (
      SELECT coalesce(sum(coalesce(packet_count, last_sequence - first_sequence + 1)), 0)::bigint
               AS count,
             coalesce(sum(packet_count), 0)::bigint AS packets
      FROM losses WHERE channel_id = ${channelId} AND healed_at IS NULL) AS lost`.execute(snapshot);
  return rows[0];
}
