// Counts the requests of the API, and how long they took, by operation and class of status: both
// are small closed sets, whatever callers ask for. Beside that, what readers cost.

import type { FastifyInstance } from 'fastify';
import type { SharedReads } from '#archive/mod.ts';
import type { MetricDescription, MetricFamily } from '#multicast/metrics/mod.ts';

const LABELS = ['operation', 'status'];

const REQUESTS: MetricDescription = {
  name: 'backcast_api_requests_total',
  type: 'counter',
  unit: 'requests',
  labels: LABELS,
  sentence: 'Requests answered, or cut off, by operation and class of status.',
};
const DURATION_SECONDS: MetricDescription = {
  name: 'backcast_api_request_duration_seconds',
  type: 'histogram',
  unit: 'seconds',
  labels: LABELS,
  sentence: 'Time from the arrival of a request to the last byte of its answer.',
};

const READERS: MetricDescription = {
  name: 'backcast_api_readers',
  type: 'gauge',
  unit: 'readers',
  labels: [],
  sentence: 'Answers with messages that are under way.',
};
const QUESTIONS: MetricDescription = {
  name: 'backcast_api_asked_reads_total',
  type: 'counter',
  unit: 'reads',
  labels: [],
  sentence: 'Reads of the database that readers of history needed, beyond what was kept.',
};
const STATEMENTS: MetricDescription = {
  name: 'backcast_api_sent_reads_total',
  type: 'counter',
  unit: 'reads',
  labels: [],
  sentence: 'Reads of these that were sent to the database; the others were shared.',
};
const SHARED_BYTES: MetricDescription = {
  name: 'backcast_api_shared_bytes',
  type: 'gauge',
  unit: 'bytes',
  labels: [],
  sentence: 'Memory held for segments that several readers may want.',
};

/** From a health check to the export of a long history. */
const BOUNDS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
/** What is not an operation of the API: pages, and addresses that do not exist. */
const OTHER = 'other';

interface Tally {
  readonly labels: { readonly operation: string; readonly status: string };
  readonly bucketCounts: number[];
  sum: number;
  count: number;
}

/** Counts every request to `app` from here on; the result tells what was counted so far. */
export function countRequests(app: FastifyInstance): () => MetricFamily[] {
  const tallies = new Map<string, Tally>();
  app.addHook('onResponse', async (request, reply) => {
    const operation = request.routeOptions.schema?.operationId ?? OTHER;
    const status = `${Math.floor(reply.statusCode / 100)}xx`;
    const key = `${operation} ${status}`;
    const tally = tallies.get(key) ?? newTally(operation, status);
    tallies.set(key, tally);
    addTo(tally, reply.elapsedTime / 1_000);
  });
  return () => {
    const all = [...tallies.values()];
    return [
      { metric: REQUESTS, samples: all.map(({ labels, count }) => ({ labels, value: count })) },
      {
        metric: DURATION_SECONDS,
        histograms: all.map(({ labels, bucketCounts, sum }) => {
          return { labels, bounds: BOUNDS_SECONDS, bucketCounts: [...bucketCounts], sum };
        }),
      },
    ];
  };
}

/** How much the readers of history ask of the process, and of its databases. */
export function loadFamilies(
  { readers }: { readonly readers: number },
  { asked, started, segmentBytes }: SharedReads['counts'],
): MetricFamily[] {
  return [
    one(READERS, readers),
    one(QUESTIONS, asked),
    one(STATEMENTS, started),
    one(SHARED_BYTES, segmentBytes),
  ];
}

function one(metric: MetricDescription, value: number): MetricFamily {
  return { metric, samples: [{ labels: {}, value }] };
}

function newTally(operation: string, status: string): Tally {
  const bucketCounts = Array.from({ length: BOUNDS_SECONDS.length + 1 }, () => 0);
  return { labels: { operation, status }, bucketCounts, sum: 0, count: 0 };
}

function addTo(tally: Tally, seconds: number): void {
  const index = BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
  tally.bucketCounts[index === -1 ? BOUNDS_SECONDS.length : index] += 1;
  tally.sum += seconds;
  tally.count += 1;
}
