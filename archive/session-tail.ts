// What is known of the end of a session. A publisher that closes says how far it got; one that
// falls silent does not, and what it published after it was last heard nobody can tell.

import type { ArchivedSession } from './read.ts';

/**
 * `open`: more may come. `complete`: nothing was published behind the lead. `unknown`: its
 * publisher fell silent, and what it published behind the lead, if anything, nobody heard.
 */
export type SessionTail = 'open' | 'complete' | 'unknown';

/** What can be said of sequences that the archive has not accounted for. */
export type BeyondWatermark =
  /** Ask again: the archive has not got that far. */
  | 'unsettled'
  /** They were never published. */
  | 'none'
  /** Nobody knows whether they were published. */
  | 'unknown';

/** What is known of the end of `session`. */
export function tailOf({ state }: Pick<ArchivedSession, 'state'>): SessionTail {
  if (state === 'open') return 'open';
  return state === 'closed' ? 'complete' : 'unknown';
}

/** What can be said of the sequences of `session` behind its watermark. */
export function beyondWatermark(session: ArchivedSession): BeyondWatermark {
  const tail = tailOf(session);
  if (tail === 'open' || session.watermark < session.lead) return 'unsettled';
  return tail === 'complete' ? 'none' : 'unknown';
}
