// The archive of a channel behind the replay API, for a subscriber that recovers.

import { formatInstant } from '#base/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import type { MessagesQuery } from './contract.ts';
import { fetchedEntries } from './http-fetch.ts';
import { queryText } from './http-query.ts';
import { replayEntries } from './http-replay.ts';
import type { ReplayApi } from './http-request.ts';
import { askForStand } from './http-stand.ts';
import { tailEntries } from './http-tail.ts';
import type { ReplayEntry, ReplaySource, ReplayStart } from './replay-source.ts';

/** Sessions that began so lately are told of, whether or not anybody asks. */
const YOUNG_SESSION_US = 3_600_000_000;

/** The archive of `channel` as `api` serves it. Opens nothing yet. */
export function openReplaySource(api: ReplayApi, channel: string): ReplaySource {
  return {
    open: (start, signal) =>
      openedEntries(api, `/v1/channels/${channel}/messages${queryText(toQuery(start))}`, signal),
    fetch: (ranges, signal) => fetchedEntries(api, { channel, ranges, signal }),
    tail: (afterPosition, signal) => tailEntries(api, { channel, afterPosition, signal }),
    stand: (sessions, signal) => {
      const openedFromUs = wallClockUs() - YOUNG_SESSION_US;
      return askForStand(api, { channel, sessions, openedFromUs, signal });
    },
  };
}

async function* openedEntries(
  api: ReplayApi,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ReplayEntry, void, void> {
  for await (const entry of replayEntries(api, path, signal)) {
    if (entry.kind === 'end') yield { kind: 'end', archivedThrough: entry.archivedThrough };
    else yield entry;
  }
}

function toQuery(start: ReplayStart): MessagesQuery {
  if ('publishedFromUs' in start) return { from: formatInstant(start.publishedFromUs) };
  const { afterPosition } = start;
  return { after: afterPosition, seenThrough: afterPosition };
}
