// What a receiver counts, as metrics. Sessions are summed: their ids would be labels without end.

import {
  type LatencySnapshot,
  RECEIVER_COUNTERS,
  type ReceiverCounters,
  REPAIR_LATENCY_MS_BOUNDS,
} from '#multicast/core/mod.ts';
import { describeCounters, type MetricDescription } from './catalogue.ts';
import type { MetricFamily } from './exposition.ts';
import { counterFamilies } from './part-metrics.ts';

const COUNTERS = describeCounters('receiver', RECEIVER_COUNTERS, ['channel']);
const REPAIR_LATENCY: MetricDescription = {
  name: 'backcast_receiver_repair_latency_seconds',
  type: 'histogram',
  unit: 'seconds',
  labels: ['channel'],
  sentence: 'Time from finding a packet missing to having its repair.',
};

/** What the receiver of one channel has counted. */
export interface ReceiverNumbers {
  readonly receiver: ReceiverCounters;
  readonly repairLatency: LatencySnapshot;
}

/** The metrics of receivers, by channel. */
export function receiverFamilies(
  channels: Readonly<Record<string, ReceiverNumbers>>,
): MetricFamily[] {
  const numbers = Object.entries(channels);
  const counters = Object.fromEntries(
    numbers.map(([channel, { receiver }]) => [channel, receiver] as const),
  );
  return [
    ...counterFamilies(COUNTERS, counters),
    {
      metric: REPAIR_LATENCY,
      histograms: numbers.map(([channel, { repairLatency }]) => ({
        labels: { channel },
        bounds: REPAIR_LATENCY_MS_BOUNDS.map((boundMs) => boundMs / 1_000),
        bucketCounts: repairLatency.bucketCounts,
        sum: repairLatency.sumMs / 1_000,
      })),
    },
  ];
}
