// The last losses of one session: what its publisher is told of beside what is archived.

import type { SequenceRange, SessionId } from '#base/mod.ts';
import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { rowsOf, sessionKey } from './read-sql.ts';

/**
 * The last `count` losses of a session that are not healed, or all if there are fewer, in order of
 * their sequences. Costs in proportion to `count`. Errors: BACKCAST_DATABASE_UNREACHABLE.
 */
export async function readLastLosses(
  database: ArchiveDatabase,
  channelId: number,
  session: SessionId,
  count: number,
): Promise<SequenceRange[]> {
  const running = database
    .selectFrom('losses')
    .where('channel_id', '=', channelId)
    .where(sql<boolean>`session_id = ${sessionKey(session)}`)
    .where('healed_at', 'is', null)
    .select(['first_sequence as first', 'last_sequence as last'])
    .orderBy('first_sequence', 'desc')
    .limit(count)
    .execute();
  const rows = await rowsOf(running);
  return rows.toReversed();
}
