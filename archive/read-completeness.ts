// Answers whether a range of a session is all there. Three answers: complete; partial, with exactly
// the ranges that are lost and why; unsettled, because the archive has not got that far. Rests on
// what every committed transaction of the archiver keeps: from firstArchived to the watermark each
// sequence is stored or declared lost. The audit proves that; this only reads it.

import type { LossCause, SequenceRange, SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { type ArchivedSession, type Channel, findSession } from './read.ts';
import { lossesBySequence } from './read-losses.ts';

/** Sequences that are not in the archive. */
export interface LostRange extends SequenceRange {
  readonly cause: LossCause;
}

/** What the archive has of a range. */
export interface Completeness extends SequenceRange {
  readonly session: ArchivedSession;
  readonly status: 'complete' | 'partial' | 'unsettled';
  readonly lost: readonly LostRange[];
  /** How many sequences of the range are stored, and how many lost; the rest is not settled. */
  readonly storedCount: number;
  readonly lostCount: number;
  /** The first sequence of the range that is neither stored nor lost yet; null if there is none. */
  readonly unsettledFrom: number | null;
}

/**
 * How complete a range of a session is; without `last`, up to the highest sequence known to exist.
 * BACKCAST_SESSION_UNKNOWN if the archive never heard the session on this channel.
 */
export async function readCompleteness(
  db: ArchiveDatabase,
  channel: Channel,
  range: { readonly session: SessionId; readonly first: number; readonly last: number | undefined },
): Promise<Completeness> {
  const session = await findSession(db, channel, range.session);
  const { watermark, lead } = session;
  const sequences = { first: range.first, last: range.last ?? Math.max(watermark, lead) };
  const settled = { first: sequences.first, last: Math.min(sequences.last, watermark) };
  const losses = await lossesBySequence(db, channel.channelId, session, settled);
  const lost = losses.map(({ first, last, cause }) => ({ first, last, cause }));
  const lostCount = lost.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const settledCount = Math.max(0, settled.last - settled.first + 1);
  const isSettled = sequences.last <= watermark;
  return {
    ...sequences,
    session,
    status: !isSettled ? 'unsettled' : lostCount > 0 ? 'partial' : 'complete',
    lost,
    storedCount: settledCount - lostCount,
    lostCount,
    unsettledFrom: isSettled ? null : Math.max(sequences.first, watermark + 1),
  };
}
