// What retention counts, as metrics of the archiver.

import type { MetricDescription, MetricFamily } from '#multicast/metrics/mod.ts';
import type { RetentionCounters } from './retention-keeper.ts';

const METRICS: Readonly<Record<keyof RetentionCounters, Omit<MetricDescription, 'labels'>>> = {
  deletedMessages: {
    name: 'backcast_archiver_deleted_messages_total',
    type: 'counter',
    unit: 'messages',
    sentence: 'Messages that retention deleted.',
  },
  deletedBytes: {
    name: 'backcast_archiver_deleted_bytes_total',
    type: 'counter',
    unit: 'bytes',
    sentence: 'Payloads that retention deleted.',
  },
  heldDays: {
    name: 'backcast_archiver_retention_held_days',
    type: 'gauge',
    unit: 'days',
    sentence: 'Days of channels that are due to be deleted and stay because of a hold.',
  },
  failedRuns: {
    name: 'backcast_archiver_retention_failed_runs_total',
    type: 'counter',
    unit: 'runs',
    sentence: 'Runs of retention that failed.',
  },
  ranAtSeconds: {
    name: 'backcast_archiver_retention_ran_at_seconds',
    type: 'gauge',
    unit: 'seconds',
    sentence: 'When retention last ran without failing, since 1970; 0 if it did not yet.',
  },
};

/** The metrics of `counters`. */
export function retentionFamilies(counters: Readonly<RetentionCounters>): MetricFamily[] {
  return Object.entries(METRICS).map(([name, description]) => ({
    metric: { ...description, labels: [] },
    samples: [{ labels: {}, value: counters[name as keyof RetentionCounters] }],
  }));
}
