// A binary segment stream as a reading tells it. Hot: a replay of millions goes through here, so
// payloads move at most once, within the memory that brought them.

import { SegmentStreamDecoder, type StreamEntry, type StreamRun } from '#client/stream/mod.ts';
import { brokenOff } from './http-body.ts';
import type { ReplayedDeletion, ReplayedLoss, ReplayedRun } from './replay-source.ts';

/** What a stream tells of messages, beside what frames it. */
export type FramedEntry =
  | ReplayedRun
  | ReplayedLoss
  | ReplayedDeletion
  | Extract<StreamEntry, { readonly kind: 'range' | 'end' }>;

/**
 * The entries of a stream that arrives as `chunks`, through its end. BACKCAST_ANSWER_TRUNCATED when
 * it ends before, or is none.
 */
export async function* framedEntries(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<FramedEntry, void, void> {
  const decoder = new SegmentStreamDecoder();
  for await (const chunk of chunks) {
    decoder.handleBytes(chunk);
    for (let entry = decoder.pollEntry(); entry !== undefined; entry = decoder.pollEntry()) {
      if (entry.kind === 'malformed')
        throw brokenOff(`it is no stream of segments (${entry.reason})`, undefined);
      if (entry.kind === 'messages') yield toRun(entry);
      else if (entry.kind !== 'begin' && entry.kind !== 'estimate') yield entry;
      if (entry.kind === 'end') return;
    }
  }
  throw brokenOff('its end is missing', undefined);
}

/** Moves the payloads of `run` together, over the lengths that lie between them. */
function toRun(run: StreamRun): ReplayedRun {
  const { segment, firstIndex, messageCount, ...rest } = run;
  const { bytes, payloadStarts, payloadEnds } = segment;
  const ends = new Uint32Array(messageCount);
  const start = payloadStarts[firstIndex];
  let at = start;
  for (let index = 0; index < messageCount; index += 1) {
    const from = payloadStarts[firstIndex + index];
    const end = payloadEnds[firstIndex + index];
    if (at !== from) bytes.copyWithin(at, from, end);
    at += end - from;
    ends[index] = at - start;
  }
  return {
    ...rest,
    messageCount,
    publishedAtUs: segment.publishedAtUs.subarray(firstIndex, firstIndex + messageCount),
    payloadEnds: ends,
    payloads: bytes.subarray(start, at),
  };
}
