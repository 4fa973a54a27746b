// What there is of given ranges of sessions, told sequence by sequence: a message, a loss, a
// deletion, or that the archive cannot tell.

import type { FetchBody } from './contract.ts';
import type { FramedEntry } from './http-frames.ts';
import { streamedEntries } from './http-replay.ts';
import type { ReplayApi } from './http-request.ts';
import type { FetchedEntry, SessionRange, UnknownRange, UnsettledRange } from './replay-source.ts';

/** Which ranges of which channel. */
export interface FetchQuestion {
  readonly channel: string;
  readonly ranges: readonly SessionRange[];
  readonly signal?: AbortSignal | undefined;
}

/** The API takes so many at once. */
const RANGES_MAX = 1_000;

/** The ranges in their order; see FetchedEntry. Errors: those of replayEntries. */
export async function* fetchedEntries(
  api: ReplayApi,
  { channel, ranges, signal }: FetchQuestion,
): AsyncGenerator<FetchedEntry, void, void> {
  const path = `/v1/channels/${channel}/messages:fetch`;
  for (let start = 0; start < ranges.length; start += RANGES_MAX) {
    const body: FetchBody = { ranges: ranges.slice(start, start + RANGES_MAX) };
    yield* batchEntries(streamedEntries(api, { path, body, signal }));
  }
  yield { kind: 'end' };
}

async function* batchEntries(
  entries: AsyncIterable<FramedEntry>,
): AsyncGenerator<FetchedEntry, void, void> {
  let through = 0;
  for await (const entry of entries) {
    if (entry.kind === 'end') return;
    if (entry.kind !== 'range') {
      through = entry.kind === 'messages' ? entry.throughSequence : entry.last;
      yield entry;
      continue;
    }
    const untold = untoldOf(entry, through);
    if (untold !== undefined) yield untold;
    through = 0;
  }
}

/** What is left of a range of which everything through `through` was told. */
function untoldOf(
  range: Extract<FramedEntry, { readonly kind: 'range' }>,
  through: number,
): UnsettledRange | UnknownRange | undefined {
  const { session, first, last, status, untoldFrom } = range;
  if (untoldFrom !== null) {
    return { kind: status === 'unknown' ? status : 'unsettled', session, first: untoldFrom, last };
  }
  // A session that is over has nothing behind its last message.
  const next = Math.max(first, through + 1);
  return next > last ? undefined : { kind: 'unknown', session, first: next, last };
}
