// What there is of given ranges of sessions, told sequence by sequence: a message, a loss, a
// deletion, or that the archive cannot tell.

import { BackcastError } from '#base/mod.ts';
import { replayEntries } from './http-replay.ts';
import type { ReplayApi } from './http-request.ts';
import type { FetchedEntry, SessionRange } from './replay-source.ts';

/** Which ranges of which channel. */
export interface FetchQuestion {
  readonly channel: string;
  readonly ranges: readonly SessionRange[];
  readonly signal?: AbortSignal | undefined;
}

/** The ranges in their order; see FetchedEntry. Errors: those of askReplayApi. */
export async function* fetchedEntries(
  api: ReplayApi,
  { channel, ranges, signal }: FetchQuestion,
): AsyncGenerator<FetchedEntry, void, void> {
  for (const range of ranges) yield* rangeEntries(api, { channel, range, signal });
  yield { kind: 'end' };
}

async function* rangeEntries(
  api: ReplayApi,
  question: {
    readonly channel: string;
    readonly range: SessionRange;
    readonly signal: AbortSignal | undefined;
  },
): AsyncGenerator<FetchedEntry, void, void> {
  const { channel, range, signal } = question;
  const { session, first, last } = range;
  const query = `session=${session}&first=${first}&last=${last}`;
  let through = first - 1;
  let kind: 'unsettled' | 'unknown' = 'unsettled';
  try {
    const path = `/v1/channels/${channel}/messages?${query}`;
    for await (const entry of replayEntries(api, path, signal)) {
      if (entry.kind === 'end') {
        // A session that is over has nothing behind its last message.
        if (entry.status !== 'unsettled') kind = 'unknown';
        continue;
      }
      through = Math.max(through, entry.kind === 'messages' ? entry.throughSequence : entry.last);
      yield entry;
    }
  } catch (error) {
    // A session that the archive has not heard yet is one of which it cannot tell yet.
    if (!isUnheardSession(error)) throw error;
  }
  if (through < last) yield { kind, session, first: through + 1, last };
}

function isUnheardSession(error: unknown): boolean {
  return error instanceof BackcastError && error.code === 'BACKCAST_SESSION_UNKNOWN';
}
