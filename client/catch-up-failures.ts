// Which failures of an archive end a recovery, and what is said when it does not get on.

import { BackcastError, rootMessage } from '#base/mod.ts';
import type { CatchUpState } from './catch-up-shapes.ts';
import type { SessionRange } from './replay-source.ts';

/** Whether asking again is of no use. */
export function isFinal(error: unknown): boolean {
  return !(error instanceof BackcastError) || !error.isRetryable;
}

/** The error for a recovery in which nothing has moved for `stallMs`. */
export function stalled(stall: {
  readonly state: CatchUpState;
  readonly holes: readonly SessionRange[];
  readonly stallMs: number;
  readonly trouble: unknown;
}): BackcastError {
  const { state, holes, stallMs, trouble } = stall;
  const [hole] = holes;
  const missing =
    hole === undefined
      ? 'The archive does not answer'
      : `The archive does not get on to messages ${hole.first} to ${hole.last} of session ` +
        `${hole.session}${holes.length > 1 ? ` and ${holes.length - 1} other ranges` : ''}`;
  const reason = trouble === undefined ? '' : ` Last failure: ${rootMessage(trouble)}`;
  return new BackcastError(
    'BACKCAST_RECOVERY_STALLED',
    `${missing}; nothing has moved for ${stallMs} ms while ${state}. Everything before was told: ` +
      `subscribe again from the cursor once the archive is well.${reason}`,
    { cause: trouble },
  );
}
