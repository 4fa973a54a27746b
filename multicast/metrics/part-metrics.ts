// The counters of one part as metrics, by channel: each counter is one metric, with one sample per
// channel.

import { PUBLISHER_COUNTERS, type PublisherCounters } from '#multicast/core/mod.ts';
import { TRANSPORT_COUNTERS, type TransportCounters } from '#multicast/udp/mod.ts';
import { describeCounters, type MetricDescription } from './catalogue.ts';
import type { MetricFamily } from './exposition.ts';

const LABELS = ['channel'];
const PUBLISHER = describeCounters('publisher', PUBLISHER_COUNTERS, LABELS);
const TRANSPORT = describeCounters('transport', TRANSPORT_COUNTERS, LABELS);

/** Numbers by channel. */
export type ByChannel<Numbers> = Readonly<Record<string, Numbers>>;

/** The metrics of publishers, by channel. */
export function publisherFamilies(channels: ByChannel<PublisherCounters>): MetricFamily[] {
  return counterFamilies(PUBLISHER, channels);
}

/** The metrics of sockets, injected faults and captures, by channel. */
export function transportFamilies(channels: ByChannel<TransportCounters>): MetricFamily[] {
  return counterFamilies(TRANSPORT, channels);
}

/** One family per counter of `metrics`, in their order. */
export function counterFamilies<Key extends string>(
  metrics: Readonly<Record<Key, MetricDescription>>,
  channels: ByChannel<Readonly<Record<Key, number>>>,
): MetricFamily[] {
  const numbers = Object.entries<Readonly<Record<Key, number>>>(channels);
  return (Object.keys(metrics) as Key[]).map((name) => ({
    metric: metrics[name],
    samples: numbers.map(([channel, counters]) => {
      return { labels: { channel }, value: counters[name] };
    }),
  }));
}
