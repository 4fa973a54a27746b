// Losses that lie inside an answer: declared, not healed, at the place where their messages would
// have come. By position that is the head of the channel when the loss was declared; by sequence it
// is the sequences themselves.

import { sql } from 'kysely';
import { foreignPacketCount, type Framing, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import type { ArchivedSession } from './read.ts';
import type { Loss } from './read-entries.ts';
import { rowsOf, sessionKey } from './read-sql.ts';

/** All losses of a channel that are not healed, by place. */
export function selectLosses(db: ArchiveDatabase, channelId: number) {
  return db
    .selectFrom('losses')
    .where('losses.channel_id', '=', channelId)
    .where('losses.healed_at', 'is', null)
    .select([
      sql<'loss'>`'loss'`.as('kind'),
      sessionText('losses.session_id').as('session'),
      'losses.first_sequence as first',
      'losses.last_sequence as last',
      'losses.packet_count as packetCount',
      'losses.cause',
      'losses.after_position as afterPosition',
      'losses.detected_at as detectedAtUs',
      'losses.declared_at as declaredAtUs',
    ])
    .orderBy('losses.after_position')
    .orderBy('losses.session_id')
    .orderBy('losses.first_sequence');
}

/** The losses of a channel that lie after a position within `places`, in order of place. */
export function lossesByPlace(
  db: ArchiveDatabase,
  channelId: number,
  places: SequenceRange,
): Promise<Loss[]> {
  return rowsOf(
    selectLosses(db, channelId)
      .where('losses.after_position', '>=', places.first)
      .where('losses.after_position', '<=', places.last)
      .execute(),
  );
}

/**
 * The losses of one session that touch `sequences`, cut to them, in order. What lies before the
 * first sequence that the archive accounts for counts as lost too: it came too late to hear it.
 */
export async function lossesBySequence(
  db: ArchiveDatabase,
  { channelId, framing }: { readonly channelId: number; readonly framing: Framing },
  session: ArchivedSession,
  sequences: SequenceRange,
): Promise<Loss[]> {
  if (sequences.first > sequences.last) return [];
  const rows = await rowsOf(
    selectLosses(db, channelId)
      .where(sql<boolean>`losses.session_id = ${sessionKey(session.session)}`)
      .where('losses.first_sequence', '<=', sequences.last)
      .where('losses.last_sequence', '>=', sequences.first)
      .clearOrderBy()
      .orderBy('losses.first_sequence')
      .execute(),
  );
  const declared = rows.map((loss) => ({
    ...loss,
    first: Math.max(loss.first, sequences.first),
    last: Math.min(loss.last, sequences.last),
  }));
  const losses = [...neverHeard(session, sequences), ...declared];
  if (!session.isForeign) return losses;
  return losses.map((loss) => ({ ...loss, packetCount: foreignPacketCount(framing, loss) }));
}

function neverHeard(session: ArchivedSession, sequences: SequenceRange): Loss[] {
  const last = Math.min(session.firstArchived - 1, sequences.last);
  if (last < sequences.first) return [];
  return [
    {
      kind: 'loss',
      session: session.session,
      first: sequences.first,
      last,
      packetCount: null,
      cause: 'late_join',
      afterPosition: 0,
      detectedAtUs: session.openedAtUs,
      declaredAtUs: session.openedAtUs,
    },
  ];
}
