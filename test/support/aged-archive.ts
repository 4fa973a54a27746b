// An archive with a past: channels that were archived on days before today, each day in a partition
// of its own, for tests of what becomes of old messages.

import { ensurePartitions, type OpenDatabase } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  type Delivery,
  fillChannel,
  type SentMessage,
  type SessionFacts,
} from './filled-archive.ts';

/** Milliseconds of a day. */
export const DAY_MS = 86_400_000;
/** Most days before today that have a partition. */
export const DAYS_BACK = 9;
/** The one session of most channels. */
export const AGED_SESSION = '00000000000000a1' as SessionId;

/** Noon UTC, so many days before today, in microseconds since 1970. */
export function noonUs(daysAgo: number): number {
  const today = Math.floor(Date.now() / DAY_MS);
  return ((today - daysAgo) * DAY_MS + DAY_MS / 2) * 1000;
}

/** Midnight UTC of that day. */
export function startOfUs(daysAgo: number): number {
  return noonUs(daysAgo) - (DAY_MS / 2) * 1000;
}

/** Makes the partitions of the last days. */
export async function makePastPartitions({ database }: OpenDatabase): Promise<void> {
  await ensurePartitions(database, Date.now() - DAYS_BACK * DAY_MS, DAYS_BACK);
}

/** A segment of `count` messages that were published when they were archived. */
export function agedSegment(
  daysAgo: number,
  firstSequence: number,
  count: number,
  session: SessionId = AGED_SESSION,
): Delivery {
  const archivedAtUs = noonUs(daysAgo) + firstSequence;
  const messages = Array.from({ length: count }, (_, index): SentMessage => {
    const sequence = firstSequence + index;
    return { session, sequence, publishedAtUs: archivedAtUs, payload: Buffer.from('0123456789') };
  });
  return { kind: 'segment', archivedAtUs, messages };
}

/** That these sessions have been there since before the first day. */
export function agedSessions(...sessions: readonly SessionId[]): Map<SessionId, SessionFacts> {
  return new Map(sessions.map((session) => [session, { openedAtUs: noonUs(DAYS_BACK + 1) }]));
}

/**
 * A channel with `count` messages of ten bytes each on every of `days`, given as days before today,
 * the oldest first; returns its channel_id.
 */
export function fillAged(
  url: string,
  name: string,
  days: readonly number[],
  count: number = 10,
): Promise<number> {
  const deliveries = days.map((daysAgo, index) => agedSegment(daysAgo, 1 + index * count, count));
  return fillChannel(url, { name, deliveries, sessions: agedSessions(AGED_SESSION) });
}
