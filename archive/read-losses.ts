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

/**
 * All losses of a channel by place, as they were when `archivedThrough` was its last position: what
 * was healed later is lost in an answer that ends there.
 */
export function selectLosses(db: ArchiveDatabase, channelId: number, archivedThrough: number) {
  return selectDeclared(db, channelId).where((loss) =>
    loss.or([
      loss('losses.healed_position', 'is', null),
      loss('losses.healed_position', '>', archivedThrough),
    ]),
  );
}

function selectDeclared(db: ArchiveDatabase, channelId: number) {
  return db
    .selectFrom('losses')
    .where('losses.channel_id', '=', channelId)
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

/**
 * The losses of a channel that lie after a position within `places`, in order of place; of which
 * moment, as of selectLosses. What is asked for does not depend on that moment: readers share it.
 */
export async function lossesByPlace(
  db: ArchiveDatabase,
  channelId: number,
  places: SequenceRange,
  archivedThrough: number,
): Promise<Loss[]> {
  if (places.first > places.last) return [];
  const declared = await rowsOf(
    selectDeclared(db, channelId)
      .select('losses.healed_position as healedPosition')
      .where('losses.after_position', '>=', places.first)
      .where('losses.after_position', '<=', places.last)
      .execute(),
  );
  return declared.flatMap(({ healedPosition, ...loss }) =>
    healedPosition === null || healedPosition > archivedThrough ? [loss] : [],
  );
}

/** Sequences that were lost once and are stored now. */
export interface HealedRange extends SequenceRange {
  readonly healedAtUs: number;
}

/** What is known of missing sequences, as of one moment. */
export interface LossesAndHeals {
  readonly losses: readonly Loss[];
  readonly healed: readonly HealedRange[];
}

/**
 * The losses of one session that touch `sequences`, cut to them, in order. What lies before the
 * first sequence that the archive accounts for counts as lost too: it came too late to hear it.
 */
export async function lossesBySequence(
  db: ArchiveDatabase,
  channel: { readonly channelId: number; readonly framing: Framing },
  session: ArchivedSession,
  sequences: SequenceRange,
): Promise<readonly Loss[]> {
  return (await lossesAndHeals(db, channel, session, sequences)).losses;
}

/**
 * The same with what was healed, in one look: a loss that is healed meanwhile is either lost or
 * healed, not both and not neither.
 */
export async function lossesAndHeals(
  db: ArchiveDatabase,
  { channelId, framing }: { readonly channelId: number; readonly framing: Framing },
  session: ArchivedSession,
  sequences: SequenceRange,
): Promise<LossesAndHeals> {
  if (sequences.first > sequences.last) return { losses: [], healed: [] };
  const rows = await rowsOf(
    selectDeclared(db, channelId)
      .select('losses.healed_at as healedAtUs')
      .where(sql<boolean>`losses.session_id = ${sessionKey(session.session)}`)
      .where('losses.first_sequence', '<=', sequences.last)
      .where('losses.last_sequence', '>=', sequences.first)
      .clearOrderBy()
      .orderBy('losses.first_sequence')
      .execute(),
  );
  const losses = neverHeard(session, sequences);
  const healed: HealedRange[] = [];
  for (const { healedAtUs, ...loss } of rows) {
    if (healedAtUs === null) losses.push(loss);
    else healed.push({ first: loss.first, last: loss.last, healedAtUs });
  }
  const counted = session.isForeign ? framing : undefined;
  return { losses: cutLosses(losses, sequences, counted), healed };
}

/**
 * The parts of `losses` that lie in `sequences`; those of a foreign source count its packets, for
 * which its framing is needed.
 */
export function cutLosses(
  losses: readonly Loss[],
  sequences: SequenceRange,
  foreignFraming: Framing | undefined,
): Loss[] {
  return losses.flatMap((loss) => {
    const first = Math.max(loss.first, sequences.first);
    const last = Math.min(loss.last, sequences.last);
    if (first > last) return [];
    const cut = { ...loss, first, last };
    if (foreignFraming === undefined) return [cut];
    return [{ ...cut, packetCount: foreignPacketCount(foreignFraming, cut) }];
  });
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
