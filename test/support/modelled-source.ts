// A modelled archive as a subscriber meets it: answers that come entry by entry, in later turns of
// the event loop, and failures while it is away.

import { setImmediate as turn } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import type { FetchedEntry, ReplayEntry, ReplaySource, TailEntry } from '#client/mod.ts';
import type { ModelledArchive } from './modelled-archive.ts';

/** A source that can be sent away. */
export interface ModelledSource extends ReplaySource {
  /** While set, every call fails and what is under way breaks off. */
  isAway: boolean;
  /** Calls so far, of each kind. */
  readonly calls: Record<'open' | 'fetch' | 'tail' | 'stand', number>;
}

/** The archive as a source. */
export function sourceOf(archive: ModelledArchive): ModelledSource {
  const source: ModelledSource = {
    isAway: false,
    calls: { open: 0, fetch: 0, tail: 0, stand: 0 },
    open: (start, signal) => {
      source.calls.open += 1;
      const after = 'afterPosition' in start ? start.afterPosition : 0;
      return answer(source, () => archive.read(after), signal);
    },
    fetch: (ranges, signal) => {
      source.calls.fetch += 1;
      return answer(source, () => archive.fetch(ranges), signal);
    },
    tail: (afterPosition, signal) => {
      source.calls.tail += 1;
      return follow(source, archive, { afterPosition, signal });
    },
    stand: async () => {
      source.calls.stand += 1;
      await turn();
      assertThere(source);
      return archive.stand();
    },
  };
  return source;
}

async function* answer<Entry extends ReplayEntry | FetchedEntry>(
  source: ModelledSource,
  read: () => Entry[],
  signal: AbortSignal,
): AsyncGenerator<Entry, void, void> {
  await turn();
  assertThere(source);
  for (const entry of read()) {
    assertThere(source);
    signal.throwIfAborted();
    yield entry;
    await turn();
  }
}

async function* follow(
  source: ModelledSource,
  archive: ModelledArchive,
  { afterPosition, signal }: { readonly afterPosition: number; readonly signal: AbortSignal },
): AsyncGenerator<TailEntry, void, void> {
  let after = -1;
  for (;;) {
    await turn();
    assertThere(source);
    signal.throwIfAborted();
    if (archive.head <= after) continue;
    for (const entry of archive.read(Math.max(after, afterPosition))) {
      yield entry;
      if (entry.kind === 'end') after = entry.archivedThrough;
    }
  }
}

function assertThere({ isAway }: ModelledSource): void {
  if (isAway) throw new BackcastError('BACKCAST_API_UNREACHABLE', 'The archive is away.');
}
