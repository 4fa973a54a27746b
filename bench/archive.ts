// Measures the whole path on one host: publish → multicast on the loopback interface → archiver →
// COMMIT, on one or several channels with a thread each, and says how many messages per second
// became durable and how many a COPY alone of the same rows brings in. Closed loop: a publisher
// runs at most OUTSTANDING_MESSAGES_MAX ahead of the archive, so that the slowest part sets the
// pace and nothing is lost on the way; the run fails if anything was.

import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { type ArchiveDatabase, audit, type OpenDatabase } from '#archive/mod.ts';
import { assert, BackcastError } from '#base/mod.ts';
import { monotonicMs } from '#multicast/udp/mod.ts';
import { PROGRESS } from './archive-messages.ts';
import {
  type ArchiveBenchmarkPlace,
  headsOf,
  type StagedChannel,
  stageChannels,
} from './archive-stage.ts';
import { measureCopyLimit } from './copy-limit.ts';

/** What to run. */
export interface ThroughputOptions extends ArchiveBenchmarkPlace {
  /** Messages over all channels. */
  readonly messages: number;
  /** Channels, each with a publishing and an archiving thread. */
  readonly shards: number;
  /** Publishers of each channel, which take turns. */
  readonly publisherCount: number;
  /** Called about four times a second. */
  readonly onProgress?: ((archived: number, elapsedMs: number) => void) | undefined;
}

/** What was measured. */
export interface ArchiveThroughput {
  readonly shards: number;
  readonly messagesPerSecond: number;
  /** The same rows by COPY alone, on as many connections as there are shards. */
  readonly copyMessagesPerSecond: number;
  /** The first by the second, in percent. */
  readonly copySharePercent: number;
  readonly megabytesPerSecond: number;
  readonly elapsedMs: number;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  readonly storedBytesPerMessage: number;
  readonly messagesPerTransaction: number;
  readonly publisherCount: number;
  readonly packetsSent: number;
  readonly repairsSent: number;
  readonly messagesLost: number;
  /** Largest resident memory so far of the process that publishes and archives. */
  readonly peakMemoryBytes: number;
  readonly cpuSeconds: number;
  /** Whether every sequence is accounted for in the database. */
  readonly isComplete: boolean;
}

/** Enough to keep every part busy, little enough for socket buffers and memory to stay flat. */
const OUTSTANDING_MESSAGES_MAX = 131_072;
const STALL_MS_MAX = 30_000;
/** Between two looks at the head of the archive. */
const POLL_MS = 5;
const PROGRESS_EVERY_MS = 250;

/**
 * Runs once. Errors: those of the archiver; BACKCAST_AUDIT_FAILED if nothing is archived any more.
 */
export async function measureThroughput(
  options: ThroughputOptions,
  { database, pool }: OpenDatabase,
): Promise<ArchiveThroughput> {
  const measured = await publishAndArchive(options, database);
  const { channels, elapsedMs, sent, cpuSeconds } = measured;
  const messages = sent.messages;
  const stored = await readStored(database, channels);
  const copyMessagesPerSecond = await measureCopyLimit({
    databaseUrl: options.databaseUrl,
    pool,
    channelId: channels[0].channelId,
    rowsPerTransaction: Math.max(1, Math.round(stored.rows / stored.transactions)),
    connections: options.shards,
  });
  const messagesPerSecond = Math.round((messages * 1000) / elapsedMs);
  return {
    shards: options.shards,
    messagesPerSecond,
    copyMessagesPerSecond,
    copySharePercent: Math.round((messagesPerSecond * 100) / copyMessagesPerSecond),
    megabytesPerSecond: Math.round((messages * options.payloadBytes) / elapsedMs / 1000),
    elapsedMs: Math.round(elapsedMs),
    messages,
    payloadBytes: options.payloadBytes,
    packetBytesMax: options.packetBytesMax,
    storedBytesPerMessage: Math.round(stored.bytes / messages),
    messagesPerTransaction: Math.round(messages / stored.transactions),
    publisherCount: options.publisherCount,
    packetsSent: sent.packets,
    repairsSent: sent.repairs,
    ...(await verdictOn(database, channels)),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds,
  };
}

interface Published {
  readonly channels: readonly StagedChannel[];
  readonly elapsedMs: number;
  readonly sent: { readonly messages: number; readonly packets: number; readonly repairs: number };
  readonly cpuSeconds: number;
}

/** Publishes everything and waits until it is committed; the clock stops with the last message. */
async function publishAndArchive(
  options: ThroughputOptions,
  database: ArchiveDatabase,
): Promise<Published> {
  await using resources = new AsyncDisposableStack();
  const messageCount = Math.ceil(options.messages / options.shards);
  const channels = await stageChannels(options, database, resources, options.shards, {
    messageCount,
    publisherCount: options.publisherCount,
    rate: Number.POSITIVE_INFINITY,
    outstandingMax: OUTSTANDING_MESSAGES_MAX,
    stride: messageCount,
  });
  const before = process.cpuUsage();
  const startedAtMs = monotonicMs();
  for (const { begin } of channels) begin();
  await archiveAll(options, database, channels, messageCount);
  const elapsedMs = monotonicMs() - startedAtMs;
  const cpu = process.cpuUsage(before);
  const reports = await Promise.all(channels.map(({ done }) => done));
  return {
    channels,
    elapsedMs,
    sent: {
      messages: messageCount * channels.length,
      packets: reports.reduce((sum, it) => sum + it.packetsSent, 0),
      repairs: reports.reduce((sum, it) => sum + it.repairsSent, 0),
    },
    cpuSeconds: Math.round((cpu.user + cpu.system) / 10_000) / 100,
  };
}

/** Tells the publishers how far the archive is until each channel has `messageCount`. */
async function archiveAll(
  { signal, onProgress }: ThroughputOptions,
  database: ArchiveDatabase,
  channels: readonly StagedChannel[],
  messageCount: number,
): Promise<void> {
  const startedAtMs = monotonicMs();
  let archived = 0;
  let movedAtMs = startedAtMs;
  let shownAtMs = startedAtMs;
  while (archived < messageCount * channels.length) {
    signal?.throwIfAborted();
    const heads = await headsOf(database, channels);
    for (const [index, { progress }] of channels.entries()) {
      Atomics.store(progress, PROGRESS.archived, heads[index]);
    }
    const sum = heads.reduce((total, head) => total + head, 0);
    const nowMs = monotonicMs();
    if (sum > archived) movedAtMs = nowMs;
    archived = sum;
    if (nowMs - shownAtMs > PROGRESS_EVERY_MS) {
      shownAtMs = nowMs;
      onProgress?.(archived, nowMs - startedAtMs);
    }
    if (nowMs - movedAtMs > STALL_MS_MAX) throw stalled(archived, messageCount * channels.length);
    await delay(POLL_MS);
  }
}

async function verdictOn(
  database: ArchiveDatabase,
  channels: readonly StagedChannel[],
): Promise<{ messagesLost: number; isComplete: boolean }> {
  let messagesLost = 0;
  let isComplete = true;
  for (const { name } of channels) {
    const [verdict] = await audit(database, { channel: name });
    assert(verdict !== undefined, 'the audit of a channel has a verdict');
    messagesLost += verdict.lostCount;
    isComplete &&= verdict.problems.length === 0;
  }
  return { messagesLost, isComplete };
}

/** Rows of a transaction have one archive time, and no two transactions of a channel the same. */
async function readStored(
  database: ArchiveDatabase,
  channels: readonly StagedChannel[],
): Promise<{ readonly bytes: number; readonly rows: number; readonly transactions: number }> {
  const ids = channels.map(({ channelId }) => channelId);
  const { rows } = await sql<{ bytes: number; rows: number; transactions: number }>`
    SELECT coalesce(sum(pg_column_size(payload) + pg_column_size(published_at)
             + pg_column_size(run_session) + pg_column_size(run_first)
             + pg_column_size(run_length)), 0)::bigint AS bytes,
           count(*) AS rows, count(DISTINCT (channel_id, archived_at)) AS transactions
    FROM segments WHERE channel_id = ANY (${ids})`.execute(database);
  return rows[0];
}

function stalled(archived: number, messages: number): BackcastError {
  const message =
    `Nothing was archived for ${STALL_MS_MAX / 1000} s; ${archived} of ${messages} messages are. ` +
    "Look at the database's log.";
  return new BackcastError('BACKCAST_AUDIT_FAILED', message);
}
