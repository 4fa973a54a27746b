// What compaction counts, as metrics: of the whole archive, without labels.

import type { MetricDescription, MetricFamily } from '#multicast/metrics/mod.ts';

/** Numbers since the archiver started. */
export type CompactionCounters = { -readonly [Key in keyof typeof DESCRIPTIONS]: number };

type Description = Pick<MetricDescription, 'name' | 'type' | 'unit' | 'sentence'>;

const DESCRIPTIONS = {
  mergedSegments: {
    name: 'backcast_compaction_merged_segments_total',
    type: 'counter',
    unit: 'segments',
    sentence: 'Small segments that were merged into others.',
  },
  madeSegments: {
    name: 'backcast_compaction_made_segments_total',
    type: 'counter',
    unit: 'segments',
    sentence: 'Segments that came of them.',
  },
  rewrittenDays: {
    name: 'backcast_compaction_rewritten_days_total',
    type: 'counter',
    unit: 'days',
    sentence: 'Days that were rewritten because most of their rows had been deleted.',
  },
  freedBytes: {
    name: 'backcast_compaction_freed_bytes_total',
    type: 'counter',
    unit: 'bytes',
    sentence: 'What these days take less than before.',
  },
  movedDays: {
    name: 'backcast_compaction_moved_days_total',
    type: 'counter',
    unit: 'days',
    sentence: 'Days that were moved from the DEFAULT partition to one of their own.',
  },
  failedPasses: {
    name: 'backcast_compaction_failed_passes_total',
    type: 'counter',
    unit: 'passes',
    sentence: 'Passes that ended with an error; the archive stays as it was.',
  },
  lastPassSeconds: {
    name: 'backcast_compaction_last_pass_seconds',
    type: 'gauge',
    unit: 'seconds',
    sentence: 'When the last pass that succeeded ended, since 1970; 0 if none has.',
  },
} as const satisfies Readonly<Record<string, Description>>;

/** The metrics of an archiver's compaction; without it, none has a sample. */
export function compactionFamilies(counters: Readonly<CompactionCounters> | undefined) {
  const names = Object.keys(DESCRIPTIONS) as (keyof CompactionCounters)[];
  return names.map((name): MetricFamily => {
    const metric = { ...DESCRIPTIONS[name], labels: [] };
    return {
      metric,
      samples: counters === undefined ? [] : [{ labels: {}, value: counters[name] }],
    };
  });
}
