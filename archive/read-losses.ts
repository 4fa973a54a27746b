// Losses that lie inside an answer: declared, not healed, at the place where their messages would
// have come. By position that is the head of the channel when the loss was declared; by sequence it
// is the sequences themselves.

import { type RawBuilder, sql } from 'kysely';
import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import type { ArchivedSession } from './read.ts';
import type { Loss } from './read-entries.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/**
 * How far the clocks of publishers and archiver are trusted to agree when a loss is compared with
 * an interval of publish times. Hosts on one network keep NTP time to a few milliseconds.
 */
const CLOCK_SKEW_US = 1_000_000;

const lossColumns = sql`'loss' AS kind, ${sessionText('l.session_id')} AS session,
  l.first_sequence AS first, l.last_sequence AS last, l.cause,
  l.after_position AS "afterPosition", l.detected_at AS "detectedAtUs",
  l.declared_at AS "declaredAtUs"`;

/** The losses of a channel that lie after a position within `places`, in order of place. */
export async function lossesByPlace(
  db: ArchiveDatabase,
  channelId: number,
  places: SequenceRange,
): Promise<Loss[]> {
  return rowsOf(
    sql<Loss>`SELECT ${lossColumns} FROM losses AS l
    WHERE l.channel_id = ${channelId} AND l.healed_at IS NULL
      AND l.after_position BETWEEN ${places.first} AND ${places.last}
    ORDER BY l.after_position, l.session_id, l.first_sequence`.execute(db),
  );
}

/** Where the messages of an interval of publish times lie among the positions. */
export interface TimeHull {
  readonly startUs: number;
  /** All messages before this position were published before the interval. */
  readonly first: number;
  /** All messages after this position were published after the interval. */
  readonly last: number;
  /** The messages up to `last` were archived before this instant. */
  readonly archivedEndUs: number;
}

/**
 * The losses whose messages may have been published within the interval of `hull`, by place. Nobody
 * knows when a lost message was published, but not after its loss was detected, and not before the
 * message that precedes it in its session. A loss is left out only if that excludes it.
 */
export async function lossesByTime(
  db: ArchiveDatabase,
  channelId: number,
  hull: TimeHull,
): Promise<Loss[]> {
  const lastPlace = Math.max(hull.first - 1, hull.last);
  return rowsOf(
    sql<Loss>`SELECT ${lossColumns} FROM losses AS l
    JOIN sessions AS s ON s.channel_id = l.channel_id AND s.session_id = l.session_id
    WHERE l.channel_id = ${channelId} AND l.healed_at IS NULL
      AND l.detected_at >= ${instantValue(hull.startUs - CLOCK_SKEW_US)}
      AND (l.after_position <= ${lastPlace}
        OR s.opened_at < ${instantValue(hull.archivedEndUs)} AND ${followsMessageWithin(hull)})
    ORDER BY l.after_position, l.session_id, l.first_sequence`.execute(db),
  );
}

function followsMessageWithin(hull: TimeHull): RawBuilder<boolean> {
  return sql<boolean>`(SELECT p.first_position FROM segment_sessions AS p
    WHERE p.channel_id = l.channel_id AND p.session_id = l.session_id
      AND p.archived_at >= s.opened_at - interval '1 hour'
      AND p.first_sequence < l.first_sequence
    ORDER BY p.first_sequence DESC LIMIT 1) <= ${hull.last}`;
}

/**
 * The losses of one session that touch `sequences`, cut to them, in order. What lies before the
 * first sequence that the archive accounts for counts as lost too: it came too late to hear it.
 */
export async function lossesBySequence(
  db: ArchiveDatabase,
  channelId: number,
  session: ArchivedSession,
  sequences: SequenceRange,
): Promise<Loss[]> {
  if (sequences.first > sequences.last) return [];
  const rows = await rowsOf(
    sql<Loss>`SELECT ${lossColumns} FROM losses AS l
    WHERE l.channel_id = ${channelId} AND l.session_id = ${sessionKey(session.session)}
      AND l.healed_at IS NULL AND l.first_sequence <= ${sequences.last}
      AND l.last_sequence >= ${sequences.first}
    ORDER BY l.first_sequence`.execute(db),
  );
  const declared = rows.map((loss) => ({
    ...loss,
    first: Math.max(loss.first, sequences.first),
    last: Math.min(loss.last, sequences.last),
  }));
  return [...neverHeard(session, sequences), ...declared];
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
      cause: 'late_join',
      afterPosition: 0,
      detectedAtUs: session.openedAtUs,
      declaredAtUs: session.openedAtUs,
    },
  ];
}
