// Runs the measurements of the archive one after the other: for each amount that is stored already,
// throughput by number of shards and latency by rate. What is stored counts everything in the
// tables, and the measurements add to it.

import { sql } from 'kysely';
import type { ArchiveDatabase } from '#archive/mod.ts';
import { type AcknowledgedLatency, measureAcknowledged } from './acknowledged.ts';
import { type ArchiveThroughput, measureThroughput, type ThroughputOptions } from './archive.ts';
import { type ArchiveLatency, measureLatency } from './archive-latency.ts';
import { openBenchmarkDatabase } from './archive-stage.ts';
import { fillArchive } from './fill.ts';
import { describeMachine } from './machine.ts';

/** What to run. */
export interface ArchiveBenchmarkOptions extends Omit<ThroughputOptions, 'shards' | 'onProgress'> {
  /** Messages to have stored before measuring, ascending; 0: whatever is there. */
  readonly stored: readonly number[];
  /** Numbers of channels, each with a publishing and an archiving thread. */
  readonly shards: readonly number[];
  /** Rates, in messages per second, at which latency is measured; none if empty. */
  readonly rates: readonly number[];
  /** Told what goes on, about four times a second. */
  readonly onProgress: (line: string) => void;
}

/** What was measured beside one amount of stored messages. */
export interface StoredStep {
  readonly storedMessages: number;
  readonly storedMebibytes: number;
  readonly throughput: readonly ArchiveThroughput[];
  readonly latency: readonly ArchiveLatency[];
}

/** All of it; in front, the first measurement of throughput. */
export type ArchiveBenchmarkResult = ArchiveThroughput & {
  /** Of one message at a time; none where no latency is measured. */
  readonly acknowledged?: AcknowledgedLatency | undefined;
  readonly steps: readonly StoredStep[];
  readonly server: string;
  readonly machine: string;
  readonly node: string;
};

/** Runs all. Errors: those of the archiver; BACKCAST_AUDIT_FAILED if anything is missing. */
export async function benchmarkArchive(
  options: ArchiveBenchmarkOptions,
): Promise<ArchiveBenchmarkResult> {
  await using opened = openBenchmarkDatabase(options.databaseUrl);
  const { database } = opened;
  const steps: StoredStep[] = [];
  for (const wanted of options.stored) {
    await fillUpTo(options, database, wanted);
    const before = await readSize(database);
    const throughput: ArchiveThroughput[] = [];
    for (const shards of options.shards) {
      const onProgress = (archived: number, elapsedMs: number): void => {
        const rate = Math.round((archived * 1000) / elapsedMs);
        options.onProgress(`${shards} shards: archived ${archived}, ${rate} messages/s`);
      };
      throughput.push(await measureThroughput({ ...options, shards, onProgress }, opened));
    }
    const latency: ArchiveLatency[] = [];
    for (const rate of options.rates) {
      options.onProgress(`latency at ${rate} messages/s`);
      latency.push(await measureLatency(options, database, rate));
    }
    steps.push({ ...before, throughput, latency });
  }
  return {
    ...steps[0].throughput[0],
    acknowledged: options.rates.length === 0 ? undefined : await measureAcknowledged(options),
    steps,
    server: await serverVersion(database),
    machine: describeMachine(),
    node: process.version,
  };
}

async function fillUpTo(
  options: ArchiveBenchmarkOptions,
  database: ArchiveDatabase,
  wanted: number,
): Promise<void> {
  const { storedMessages } = await readSize(database);
  if (storedMessages >= wanted) return;
  let shown = 0;
  await fillArchive(database, {
    ...options,
    messages: wanted - storedMessages,
    onProgress: (stored) => {
      if (stored - shown < 1_000_000) return;
      shown = stored;
      options.onProgress(`stored ${storedMessages + stored} of ${wanted}`);
    },
  });
}

/** What the tables hold; their heads are the messages that they have had. */
async function readSize(
  database: ArchiveDatabase,
): Promise<{ storedMessages: number; storedMebibytes: number }> {
  const { rows } = await sql<{ messages: number; bytes: number }>`
    SELECT (SELECT coalesce(sum(head), 0)::bigint FROM leases) AS messages,
           coalesce(sum(pg_total_relation_size(relid)), 0)::bigint AS bytes
    FROM pg_partition_tree('segments')`.execute(database);
  const [{ messages, bytes }] = rows;
  return { storedMessages: messages, storedMebibytes: Math.round(bytes / 1_048_576) };
}

async function serverVersion(database: ArchiveDatabase): Promise<string> {
  const found = await sql<{ server: string }>`
    SELECT 'PostgreSQL ' || current_setting('server_version') || ', payload '
      || CASE attstorage WHEN 'e' THEN 'uncompressed' ELSE
           CASE attcompression WHEN 'l' THEN 'lz4' WHEN 'p' THEN 'pglz'
             ELSE current_setting('default_toast_compression') END END
      || ', fsync ' || current_setting('fsync') AS server
    FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attname = 'payload'`.execute(
    database,
  );
  return found.rows[0]?.server ?? 'unknown';
}
