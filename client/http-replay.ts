// What the replay API streams of a channel's messages, as a reading tells it: one part of the
// channel in the order of positions, or many ranges at once. An answer without its end has failed.

import { SEGMENTS_TYPE } from '#client/stream/mod.ts';
import { bodyChunks } from './http-body.ts';
import { type FramedEntry, framedEntries } from './http-frames.ts';
import { askReplayApi, type ReplayApi, type ReplayQuestion } from './http-request.ts';

/** What an answer tells; the end last, and once. */
export type AnswerEntry = Exclude<FramedEntry, { readonly kind: 'range' }>;
/** How an answer ended. */
export type AnswerEnd = Extract<AnswerEntry, { readonly kind: 'end' }>;

/** Of a server that reads page after page, with its own bound on each. */
const SILENCE_MS_MAX = 20_000;
/** What is sent fast enough uncompressed need not cost a core on either side. */
const PLAIN = { 'accept-encoding': 'identity' };

/**
 * What is answered at `path`. Errors: those of askReplayApi; BACKCAST_ANSWER_TRUNCATED when it ends
 * before its end.
 */
export async function* replayEntries(
  api: ReplayApi,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<AnswerEntry, void, void> {
  for await (const entry of streamedEntries(api, { path, signal })) {
    if (entry.kind !== 'range') yield entry;
  }
}

/** The same of any question, with a `range` behind each range that was asked for. */
export async function* streamedEntries(
  api: ReplayApi,
  question: Pick<ReplayQuestion, 'path' | 'body' | 'signal'>,
): AsyncGenerator<FramedEntry, void, void> {
  const response = await askReplayApi(api, { ...question, accept: SEGMENTS_TYPE, headers: PLAIN });
  const { signal } = question;
  yield* framedEntries(bodyChunks(response, { signal, silenceMsMax: SILENCE_MS_MAX }));
}
