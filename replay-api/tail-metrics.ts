// What is counted about tails, over all channels.

import type { MetricDescription, MetricFamily } from '#multicast/metrics/mod.ts';

/** What the tails of one server have counted. */
export interface TailCounters {
  /** Tails under way. */
  readers: number;
  /** Pages that were read once for all readers of a channel. */
  pagesShared: number;
  /** Pages that were read for one reader, which was behind. */
  pagesAlone: number;
  /** Times that a reader was too slow for what is kept, and went back to pages. */
  fallbacks: number;
}

const DESCRIPTIONS: Readonly<Record<keyof TailCounters | 'channels', MetricDescription>> = {
  readers: {
    name: 'backcast_api_tail_readers',
    type: 'gauge',
    unit: 'readers',
    labels: [],
    sentence: 'Tails under way.',
  },
  channels: {
    name: 'backcast_api_tail_channels',
    type: 'gauge',
    unit: 'channels',
    labels: [],
    sentence: 'Channels that are watched for their tails.',
  },
  pagesShared: {
    name: 'backcast_api_tail_shared_pages_total',
    type: 'counter',
    unit: 'pages',
    labels: [],
    sentence: 'Pages of the archive that were read once for all tails of a channel.',
  },
  pagesAlone: {
    name: 'backcast_api_tail_own_pages_total',
    type: 'counter',
    unit: 'pages',
    labels: [],
    sentence: 'Pages of the archive that were read for one tail, which was behind.',
  },
  fallbacks: {
    name: 'backcast_api_tail_fallbacks_total',
    type: 'counter',
    unit: 'fallbacks',
    labels: [],
    sentence: 'Times that a reader of a tail was too slow, and went back to pages of its own.',
  },
};

/** Nothing counted yet. */
export function newTailCounters(): TailCounters {
  return { readers: 0, pagesShared: 0, pagesAlone: 0, fallbacks: 0 };
}

/** The metrics of tails. */
export function tailFamilies(counters: TailCounters, channelCount: number): MetricFamily[] {
  const values = { ...counters, channels: channelCount };
  return (Object.keys(DESCRIPTIONS) as (keyof typeof DESCRIPTIONS)[]).map((name) => ({
    metric: DESCRIPTIONS[name],
    samples: [{ labels: {}, value: values[name] }],
  }));
}
