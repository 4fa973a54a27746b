// Floor 5: the archiver, from packets to committed rows.

export { ArchivedSessions, LOOKED_UP_LOSSES } from './archived-sessions.ts';
export * from './archiver.ts';
export * from './archiver-metrics.ts';
export * from './compaction-metrics.ts';
export { Batcher } from './batcher.ts';
export type { RecorderCounters } from './recorder-options.ts';
export type { SpoolSettings } from './open-backlog.ts';
export { newRetentionCounters } from './retention-keeper.ts';
export type { RetentionCounters } from './retention-keeper.ts';
export { retentionFamilies } from './retention-metrics.ts';
export type { ShardSettings } from './shard-messages.ts';
