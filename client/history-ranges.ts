// `fetchRanges`: what there is of given sequences, each of them told once.

import { requireChannelName } from '#base/mod.ts';
import { fetchedEntries } from './http-fetch.ts';
import type { ReplayApi } from './http-request.ts';
import { type ArchivedMessage, messagesOf } from './archived-message.ts';
import type {
  ReplayedDeletion,
  ReplayedLoss,
  SessionRange,
  UnknownRange,
  UnsettledRange,
} from './replay-source.ts';

/** Which sequences of which channel. */
export interface FetchRangesOptions extends ReplayApi {
  readonly channel: string;
  /** Ranges that do not overlap, of one session or of many. */
  readonly ranges: readonly SessionRange[];
  readonly signal?: AbortSignal | undefined;
}

/** What a sequence that was asked for is: a message, lost, deleted, or still untold. */
export type FetchedRangeEntry =
  | ArchivedMessage
  | ReplayedLoss
  | ReplayedDeletion
  | UnsettledRange
  | UnknownRange;

/**
 * What there is of `ranges`, in their order. Errors: BACKCAST_CHANNEL_UNKNOWN,
 * BACKCAST_API_UNREACHABLE, BACKCAST_ANSWER_TRUNCATED, the reason of `signal`.
 */
export async function* fetchRanges(
  options: FetchRangesOptions,
): AsyncGenerator<FetchedRangeEntry, void, void> {
  requireChannelName(options.channel);
  for await (const entry of fetchedEntries(options, options)) {
    if (entry.kind === 'messages') yield* messagesOf(entry);
    else if (entry.kind !== 'end') yield entry;
  }
}
