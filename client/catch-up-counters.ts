// What a subscription counts, each counter with its unit and its sentence. Plain numbers, read at
// any time, never reset.

import type { CounterDescription } from '#multicast/core/mod.ts';

/** What catching up counts. */
export const CATCH_UP_COUNTERS = {
  rounds: { unit: 'times', sentence: 'Readings of the archive from a place to its end.' },
  fetches: { unit: 'requests', sentence: 'Requests for exactly what was missing.' },
  fallbacks: {
    unit: 'times',
    sentence: 'Returns from live to the archive: the reader was slow, or the stream was not heard.',
  },
  failures: {
    unit: 'requests',
    sentence: 'Requests to the archive that failed, for now or for good.',
  },
  entriesSlid: {
    unit: 'packets',
    sentence: 'Packets heard live and let go for newer ones, to be read from the archive.',
  },
} as const satisfies Record<string, CounterDescription>;

/** What was handed to the reader. */
export const READER_COUNTERS = {
  messagesLive: { unit: 'messages', sentence: 'Messages told as they were published.' },
  messagesRepaired: {
    unit: 'messages',
    sentence: 'Messages told that their publisher had to send again.',
  },
  messagesReplayed: { unit: 'messages', sentence: 'Messages told from the archive.' },
  messagesLost: { unit: 'messages', sentence: 'Sequences told as lost.' },
} as const satisfies Record<string, CounterDescription>;

/** All that a subscription counts. */
export const SUBSCRIPTION_COUNTERS = { ...CATCH_UP_COUNTERS, ...READER_COUNTERS } as const;

/** Numbers of catching up since the subscription was opened. */
export type CatchUpCounters = Record<keyof typeof CATCH_UP_COUNTERS, number>;
/** Numbers of what was told since then. */
export type ReaderCounters = Record<keyof typeof READER_COUNTERS, number>;
/** All of them. */
export type SubscriptionCounters = CatchUpCounters & ReaderCounters;

/** All at zero. */
export function newCatchUpCounters(): CatchUpCounters {
  return { rounds: 0, fetches: 0, fallbacks: 0, failures: 0, entriesSlid: 0 };
}

/** All at zero. */
export function newReaderCounters(): ReaderCounters {
  return { messagesLive: 0, messagesRepaired: 0, messagesReplayed: 0, messagesLost: 0 };
}
