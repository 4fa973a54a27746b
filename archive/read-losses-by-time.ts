// Which losses may belong to an interval of publish times. Nobody knows when a lost message was
// published, but it was not after its loss was detected, and not before the message that precedes
// it in its session. Where none precedes it, it was not before the archive last took in anything,
// well before it first heard the session: it would have heard it then. A loss is left out only if
// one of these excludes it: an answer may name a loss too many, never one too few.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { type Channel, findSession } from './read.ts';
import type { Loss } from './read-entries.ts';
import { selectLosses } from './read-losses.ts';
import type { PartitionBounds } from './read-partitions.ts';
import { lastMessageOf } from './read-place.ts';
import { type IndexEntry, SessionIndex } from './read-session-index.ts';
import { INSTANT_US_MAX, instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** Where the messages of an interval of publish times lie among the positions. */
export interface TimeHull {
  readonly startUs: number;
  /** All messages before this position were published before the interval. */
  readonly first: number;
  /** All messages after this position were published after the interval. */
  readonly last: number;
  /** When the archive took in the message after `last`; infinite if it has not yet. */
  readonly nextArchivedAtUs: number;
}

/**
 * How far the clocks of publishers and archiver are trusted to agree when a loss is compared with
 * an interval of publish times. Hosts on one network keep NTP time to a few milliseconds.
 */
const CLOCK_SKEW_US = 1_000_000;
/** How soon an archive that listens hears of a session after its first message, at the latest. */
const FIRST_HEARD_US_MAX = 60_000_000;
/** Losses of one session that are looked at in one step. */
const STEP_LOSSES = 64;

/** The losses whose messages may have been published within the interval of `hull`, by place. */
export async function lossesByTime(
  db: ArchiveDatabase,
  channel: Channel,
  partitions: readonly PartitionBounds[],
  hull: TimeHull,
): Promise<Loss[]> {
  const lastPlace = Math.max(hull.first - 1, hull.last);
  const found = await rowsOf(
    selectLosses(db, channel.channelId, channel.archivedThrough)
      .where(detectedWithin(hull))
      .where('losses.after_position', '<=', lastPlace)
      .execute(),
  );
  for (const loss of await firstLaterLosses(db, channel, hull, lastPlace)) {
    const session = await findSession(db, channel, loss.session);
    const { channelId, archivedThrough } = channel;
    const index = { db, channelId, session, partitions };
    found.push(...(await laterLosses({ ...index, archivedThrough }, loss, hull, lastPlace)));
  }
  return found.toSorted((a, b) => a.afterPosition - b.afterPosition);
}

/**
 * Of each session that may have been there, its first loss that was declared behind `lastPlace`.
 */
function firstLaterLosses(
  db: ArchiveDatabase,
  channel: Channel,
  hull: TimeHull,
  lastPlace: number,
): Promise<Loss[]> {
  const openedAtUs = Math.min(hull.nextArchivedAtUs + FIRST_HEARD_US_MAX, INSTANT_US_MAX);
  return rowsOf(
    selectLosses(db, channel.channelId, channel.archivedThrough)
      .innerJoin('sessions', (join) =>
        join
          .onRef('sessions.channel_id', '=', 'losses.channel_id')
          .onRef('sessions.session_id', '=', 'losses.session_id'),
      )
      .where(sql<boolean>`sessions.opened_at <= ${instantValue(openedAtUs)}`)
      .where(detectedWithin(hull))
      .where('losses.after_position', '>', lastPlace)
      .clearOrderBy()
      .distinctOn(['losses.session_id'])
      .orderBy('losses.session_id')
      .orderBy('losses.first_sequence')
      .execute(),
  );
}

/** From `first` on, the losses of its session that no message behind the hull precedes. */
async function laterLosses(
  index: ConstructorParameters<typeof SessionIndex>[0] & { readonly archivedThrough: number },
  first: Loss,
  hull: TimeHull,
  lastPlace: number,
): Promise<Loss[]> {
  const found: Loss[] = [];
  let next = first.first;
  for (;;) {
    const losses = await rowsOf(
      selectLosses(index.db, index.channelId, index.archivedThrough)
        .where(sql<boolean>`losses.session_id = ${sessionKey(first.session)}`)
        .where('losses.after_position', '>', lastPlace)
        .where('losses.first_sequence', '>=', next)
        .clearOrderBy()
        .orderBy('losses.first_sequence')
        .limit(STEP_LOSSES)
        .execute(),
    );
    for (const loss of losses) {
      const sequences = { first: 1, last: loss.first - 1 };
      const [previous] = await new SessionIndex(index).entries(sequences, 'desc');
      if (previous !== undefined && (await isBehind(index, previous, hull))) return found;
      found.push(loss);
    }
    if (losses.length < STEP_LOSSES) return found;
    next = losses[losses.length - 1].first + 1;
  }
}

/** Whether the last message of `entry` lies behind the hull. */
async function isBehind(
  { db, channelId, session }: ConstructorParameters<typeof SessionIndex>[0],
  entry: IndexEntry,
  hull: TimeHull,
): Promise<boolean> {
  if (entry.firstPosition > hull.last) return true;
  const message = await lastMessageOf(db, channelId, session.session, entry);
  return message !== undefined && message.position > hull.last;
}

function detectedWithin(hull: TimeHull) {
  return sql<boolean>`losses.detected_at >= ${instantValue(hull.startUs - CLOCK_SKEW_US)}`;
}
