// What is counted of who asks: refusals, answers that were cut, notes that were given up.

import { describeCounters, type MetricFamily } from '#multicast/metrics/mod.ts';

/** The counters of access to the API. */
export const ACCESS_COUNTERS = {
  unauthenticatedRequests: {
    unit: 'requests',
    sentence: 'Requests refused because they carried no valid token.',
  },
  forbiddenRequests: {
    unit: 'requests',
    sentence: 'Requests refused because their token does not allow them.',
  },
  cutAnswers: {
    unit: 'answers',
    sentence: 'Answers cut because the token of their reader was not valid any more.',
  },
  unnotedReads: {
    unit: 'reads',
    sentence: 'Readings of which no note was kept, because too many notes waited.',
  },
} as const;

/** Their values. */
export type AccessCounters = Record<keyof typeof ACCESS_COUNTERS, number>;

const METRICS = describeCounters('api', ACCESS_COUNTERS, []);

/** Counters at zero. */
export function newAccessCounters(): AccessCounters {
  return { unauthenticatedRequests: 0, forbiddenRequests: 0, cutAnswers: 0, unnotedReads: 0 };
}

/** The counters as metrics, in the order of the registry. */
export function accessFamilies(counters: Readonly<AccessCounters>): MetricFamily[] {
  const names = Object.keys(ACCESS_COUNTERS) as (keyof AccessCounters)[];
  return names.map((name) => ({
    metric: METRICS[name],
    samples: [{ labels: {}, value: counters[name] }],
  }));
}
