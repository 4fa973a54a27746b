// Floor 4: the store. Channels, sessions, segments and losses in PostgreSQL: how they are written,
// read back and audited, and the embedded server for those who have none.

export * from './accesses.ts';
export { Appender, headAfter } from './append.ts';
export type { AppenderOptions } from './append.ts';
export * from './archiver-name.ts';
export * from './audit.ts';
export { AUDIT_PROBLEMS } from './audit-queries.ts';
export type { AuditProblemKind } from './audit-queries.ts';
export * from './candidates.ts';
export * from './channel-states.ts';
export * from './channels.ts';
export * from './compact.ts';
export { type MergeGroup, mergeGroup } from './compact-group.ts';
export { planMerges, type SegmentShape } from './compact-plan.ts';
export * from './connect.ts';
export * from './database-types.ts';
export * from './describe-schema.ts';
export * from './distribute.ts';
export { distributionPlan } from './distribution-plan.ts';
export type { Catalogue, CataloguedTable } from './distribution-plan.ts';
export * from './durability.ts';
export * from './embedded/mod.ts';
export * from './empty-default.ts';
export { readWithFallback } from './fallback-reads.ts';
export * from './find-conflicts.ts';
export * from './heal-offers.ts';
export * from './holds.ts';
export * from './leases.ts';
export * from './migrate.ts';
export * from './owner.ts';
export * from './partitions.ts';
export * from './read.ts';
export * from './read-archivers.ts';
export * from './read-backlog.ts';
export * from './read-channel.ts';
export * from './read-completeness.ts';
export * from './read-conflicts.ts';
export { listDeletions } from './read-deletions.ts';
export type { DeletionKeyset } from './read-deletions.ts';
export type { ArchivedSegment } from './read-decode.ts';
export { cutRun, firstPositionOf, payloadBytesOf } from './read-entries.ts';
export type { Deletion, Loss, MessageRun, PageEntry } from './read-entries.ts';
export * from './read-heads.ts';
export * from './read-last-losses.ts';
export { lossesByPlace } from './read-losses.ts';
export * from './read-messages.ts';
export * from './read-origins.ts';
export { assertNotRewound } from './read-page.ts';
export type {
  MessagePage,
  MessageReading,
  MessageRequest,
  PositionRequest,
  SequenceRequest,
  Unsettled,
} from './read-page.ts';
export { openRanges } from './read-ranges.ts';
export type { RangeAnswer, SessionRange } from './read-ranges.ts';
export * from './read-settled.ts';
export * from './replica.ts';
export * from './rewrite-partition.ts';
export * from './retention.ts';
export * from './retention-plan.ts';
export { deletePart } from './retention-steps.ts';
export * from './session-tail.ts';
export { shareReads } from './shared-reads.ts';
export type { ReadDatabase, SharedReads } from './shared-reads.ts';
export * from './sqlstate.ts';
export * from './tokens.ts';
export * from './types.ts';
