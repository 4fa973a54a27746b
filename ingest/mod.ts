// Floor 5: the archiver, from packets to committed rows.

export * from './archiver.ts';
export * from './archiver-metrics.ts';
export { Batcher } from './batcher.ts';
export type { RecorderCounters } from './recorder-options.ts';
export type { SpoolSettings } from './open-backlog.ts';
export type { ShardSettings } from './shard-messages.ts';
