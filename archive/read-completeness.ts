// Answers whether a range of a session is all there, or, where its publisher fell silent before,
// unknown. Four answers: complete; partial, with exactly the ranges that are lost and why; deleted,
// with what a policy has deleted, and with what is lost besides; unsettled, because the archive has
// not got that far. Rests on what every committed transaction keeps: from firstArchived to the
// watermark each sequence is stored, belongs to a message as a number that names none, is declared
// lost, or was deleted. The audit proves that; this only reads it.

import type { LossCause, SequenceRange, SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { type ArchivedSession, type Channel, findSession } from './read.ts';
import { deletionsBySequence } from './read-deletions.ts';
import type { Deletion } from './read-entries.ts';
import { lossesBySequence } from './read-losses.ts';
import { beyondWatermark } from './session-tail.ts';

/** Sequences that are not in the archive. */
export interface LostRange extends SequenceRange {
  /** Packets of a foreign source; null where every number from first to last is a message. */
  readonly packetCount: number | null;
  readonly cause: LossCause;
}

/** What the archive has of a range. */
export interface Completeness extends SequenceRange {
  readonly session: ArchivedSession;
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  readonly lost: readonly LostRange[];
  readonly deleted: readonly Deletion[];
  /**
   * How many messages of the range are stored; the rest is lost, deleted or not settled. Null for
   * a foreign source, whose messages only reading them counts.
   */
  readonly storedCount: number | null;
  /** How many messages are lost; of a foreign source, how many packets. */
  readonly lostCount: number;
  /** How many messages are deleted; null where the range cuts those of a foreign source. */
  readonly deletedCount: number | null;
  /** The first sequence of the range that is neither stored nor lost yet; null if there is none. */
  readonly unsettledFrom: number | null;
  /** The first sequence of the range that nobody can say was published; null if there is none. */
  readonly unknownFrom: number | null;
}

/**
 * How complete a range of a session is; without `first`, from 1, or the first number told of a
 * foreign source; without `last`, up to the highest sequence known to exist.
 * BACKCAST_SESSION_UNKNOWN if the archive never heard the session on this channel.
 */
export async function readCompleteness(
  db: ArchiveDatabase,
  channel: Channel,
  range: {
    readonly session: SessionId;
    readonly first: number | undefined;
    readonly last: number | undefined;
  },
): Promise<Completeness> {
  const session = await findSession(db, channel, range.session);
  const { watermark, lead, isForeign } = session;
  const sequences = {
    first: range.first ?? (isForeign ? session.firstArchived : 1),
    last: range.last ?? Math.max(watermark, lead),
  };
  const settled = { first: sequences.first, last: Math.min(sequences.last, watermark) };
  const losses = await lossesBySequence(db, channel, session, settled);
  const lost = losses.map(({ first, last, packetCount, cause }) => {
    return { first, last, packetCount, cause };
  });
  const lostCount = lost.reduce(
    (sum, { first, last, packetCount }) => sum + (packetCount ?? last - first + 1),
    0,
  );
  const deleted = await deletionsBySequence(db, channel, session, settled);
  const deletedCount = deleted.reduce<number | null>(
    (sum, { messageCount }) => (sum === null || messageCount === null ? null : sum + messageCount),
    0,
  );
  const settledCount = Math.max(0, settled.last - settled.first + 1);
  const beyond = sequences.last <= watermark ? 'none' : beyondWatermark(session);
  const isSettled = beyond === 'none';
  const firstBeyond = Math.max(sequences.first, watermark + 1);
  return {
    ...sequences,
    session,
    status: isSettled ? settledStatus(lost, deleted) : beyond,
    lost,
    deleted,
    storedCount: isForeign ? null : settledCount - lostCount - (deletedCount ?? 0),
    lostCount,
    deletedCount,
    unsettledFrom: beyond === 'unsettled' ? firstBeyond : null,
    unknownFrom: beyond === 'unknown' ? firstBeyond : null,
  };
}

function settledStatus(
  lost: readonly LostRange[],
  deleted: readonly Deletion[],
): 'complete' | 'partial' | 'deleted' {
  if (deleted.length > 0) return 'deleted';
  return lost.length > 0 ? 'partial' : 'complete';
}
