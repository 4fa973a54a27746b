// The list of conflicts: sequences that came twice with different bytes.

import { type RawBuilder, sql } from 'kysely';
import type { SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import type { Channel } from './read.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** A conflict as it is kept. */
export interface ListedConflict {
  readonly session: SessionId;
  readonly source: string | null;
  readonly first: number;
  readonly last: number;
  readonly detectedAtUs: number;
  /** Who noticed. */
  readonly archiver: string;
  readonly evidence: string;
  /** SHA-256 in hex digits; null if not known. */
  readonly storedSha256: string | null;
  readonly heardSha256: string | null;
}

/** Where a page of conflicts goes on: behind this one. */
export interface ConflictKeyset {
  readonly detectedAtUs: number;
  readonly session: SessionId;
  readonly first: number;
}

/** Which conflicts to list. */
export interface ConflictPage {
  readonly session: SessionId | undefined;
  readonly after: ConflictKeyset | undefined;
  readonly limit: number;
}

/** At most `limit` conflicts of a channel, the earliest first, those behind `after`. */
export function listConflicts(
  db: ArchiveDatabase,
  channel: Channel,
  page: ConflictPage,
): Promise<ListedConflict[]> {
  let query = db
    .selectFrom('conflicts')
    .leftJoin('sessions', (join) =>
      join
        .onRef('sessions.channel_id', '=', 'conflicts.channel_id')
        .onRef('sessions.session_id', '=', 'conflicts.session_id'),
    )
    .where('conflicts.channel_id', '=', channel.channelId)
    .where(behindConflict(page.after));
  if (page.session !== undefined) {
    query = query.where(sql<boolean>`conflicts.session_id = ${sessionKey(page.session)}`);
  }
  return rowsOf(
    query
      .select([
        sessionText('conflicts.session_id').as('session'),
        'sessions.source',
        'conflicts.first_sequence as first',
        'conflicts.last_sequence as last',
        'conflicts.detected_at as detectedAtUs',
        'conflicts.archiver',
        'conflicts.evidence',
        hexText('conflicts.stored_sha256').as('storedSha256'),
        hexText('conflicts.heard_sha256').as('heardSha256'),
      ])
      .orderBy('conflicts.detected_at')
      .orderBy('conflicts.session_id')
      .orderBy('conflicts.first_sequence')
      .limit(page.limit)
      .execute(),
  );
}

function hexText(column: string): RawBuilder<string | null> {
  return sql<string | null>`encode(${sql.ref(column)}, 'hex')`;
}

function behindConflict(after: ConflictKeyset | undefined): RawBuilder<boolean> {
  if (after === undefined) return sql<boolean>`true`;
  const { detectedAtUs, session, first } = after;
  return sql<boolean>`(conflicts.detected_at, conflicts.session_id, conflicts.first_sequence)
    > (${instantValue(detectedAtUs)}, ${sessionKey(session)}, ${first}::bigint)`;
}
