// Measures the whole path on one host: publish → multicast on the loopback interface → archiver →
// COMMIT, and says how many messages per second became durable. Closed loop: the publisher runs at
// most OUTSTANDING_MESSAGES_MAX ahead of the archive, so that the slowest part sets the pace and
// nothing is lost on the way; the run fails if anything was.

import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { type ArchiveDatabase, audit, ensureChannel, openDatabase } from '#archive/mod.ts';
import {
  assert,
  BackcastError,
  BATCH_AGE_MS_DEFAULT,
  BATCH_BYTES_MAX,
  BATCH_MESSAGES_MAX,
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
  randomBelow,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { Archiver, type SpoolSettings } from '#ingest/mod.ts';
import { monotonicMs, processRandom, wallClockUs } from '#multicast/udp/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';
import { benchmarkAddress, describeMachine, yieldTurn } from './machine.ts';

/** What to run. */
export interface ArchiveBenchmarkOptions {
  /** A migrated database; its channel `bench-…` is new for every run. */
  readonly databaseUrl: string;
  readonly interfaceAddress: string;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  /** Publishers that take turns, all in this process. */
  readonly publisherCount: number;
  /** None if not given. */
  readonly spool?: SpoolSettings | undefined;
  readonly signal?: AbortSignal;
  /** Called about four times a second. */
  readonly onProgress?: (archived: number, elapsedMs: number) => void;
}

/** What was measured. */
export interface ArchiveBenchmarkResult {
  readonly messagesPerSecond: number;
  readonly megabytesPerSecond: number;
  readonly elapsedMs: number;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  readonly storedBytesPerMessage: number;
  readonly publisherCount: number;
  readonly packetsSent: number;
  readonly repairsSent: number;
  readonly messagesLost: number;
  /** Largest resident memory of the process that publishes and archives. */
  readonly peakMemoryBytes: number;
  readonly cpuSeconds: number;
  /** Whether every sequence is accounted for in the database. */
  readonly isComplete: boolean;
  readonly server: string;
  readonly machine: string;
  readonly node: string;
}

/** Enough to keep every part busy, little enough for socket buffers and memory to stay flat. */
const OUTSTANDING_MESSAGES_MAX = 131_072;
/** Messages handed over between two looks at the clock. */
const BURST_MESSAGES = 512;
const STALL_MS_MAX = 30_000;
/** Between two looks at the head of the archive. */
const POLL_MS = 5;
const PROGRESS_EVERY_MS = 250;
/** Far above what one host moves: the archive sets the pace here, not the publisher's own limit. */
const RATE_BYTES_PER_SEC = 4_000_000_000;

/**
 * Runs the benchmark once. Errors: those of the archiver; BACKCAST_AUDIT_FAILED if anything is
 * missing.
 */
export async function benchmarkArchive(
  options: ArchiveBenchmarkOptions,
): Promise<ArchiveBenchmarkResult> {
  const channel = `bench-${Date.now()}`;
  const address = benchmarkAddress();
  await using resources = new AsyncDisposableStack();
  const { database } = resources.use(
    openDatabase({
      url: options.databaseUrl,
      applicationName: 'backcast bench',
      statementTimeoutMs: 60_000,
      poolConnectionsMax: 2,
    }),
  );
  const archiver = resources.use(await startArchiver(options, channel, address));
  await archiver.recording(channel);
  const channelId = await ensureChannel(database, channel, address);
  const publishers: ChannelPublisher[] = [];
  for (let index = 0; index < options.publisherCount; index += 1) {
    publishers.push(resources.use(await openPublisher(options, address)));
  }
  const archived = async (): Promise<number> => {
    const lease = await database
      .selectFrom('leases')
      .select('head')
      .where('channel_id', '=', channelId)
      .executeTakeFirstOrThrow();
    return lease.head;
  };
  const before = process.cpuUsage();
  const elapsedMs = await publishAll(options, publishers, archived);
  const cpu = process.cpuUsage(before);
  const [verdict] = await audit(database, { channel });
  assert(verdict !== undefined, 'the audit of a channel has a verdict');
  const stored = await storedBytes(database, channelId);
  return {
    messagesPerSecond: Math.round((options.messages * 1000) / elapsedMs),
    megabytesPerSecond: Math.round((options.messages * options.payloadBytes) / elapsedMs / 1000),
    elapsedMs: Math.round(elapsedMs),
    messages: options.messages,
    payloadBytes: options.payloadBytes,
    packetBytesMax: options.packetBytesMax,
    storedBytesPerMessage: Math.round(stored / options.messages),
    publisherCount: options.publisherCount,
    packetsSent: publishers.reduce((sum, it) => sum + it.counters.packetsSent, 0),
    repairsSent: publishers.reduce((sum, it) => sum + it.counters.repairsSent, 0),
    messagesLost: verdict.lostCount,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: Math.round((cpu.user + cpu.system) / 10_000) / 100,
    isComplete: verdict.problems.length === 0,
    server: await serverVersion(database),
    machine: describeMachine(),
    node: process.version,
  };
}

/**
 * Publishes everything and waits until it is committed; milliseconds from the first to the last.
 */
async function publishAll(
  options: ArchiveBenchmarkOptions,
  publishers: readonly ChannelPublisher[],
  archivedHead: () => Promise<number>,
): Promise<number> {
  const payloads = samplePayloads(options.payloadBytes);
  const startedAtMs = monotonicMs();
  let published = 0;
  let archived = 0;
  let movedAtMs = startedAtMs;
  let shownAtMs = startedAtMs;
  while (archived < options.messages) {
    options.signal?.throwIfAborted();
    const until = Math.min(options.messages, archived + OUTSTANDING_MESSAGES_MAX);
    published = await publishUntil(publishers, payloads, published, until);
    const head = await archivedHead();
    const nowMs = monotonicMs();
    if (head > archived) movedAtMs = nowMs;
    archived = head;
    if (nowMs - shownAtMs > PROGRESS_EVERY_MS) {
      shownAtMs = nowMs;
      options.onProgress?.(archived, nowMs - startedAtMs);
    }
    if (nowMs - movedAtMs > STALL_MS_MAX) throw stalled(archived, published);
  }
  return monotonicMs() - startedAtMs;
}

/** Publishes up to message `until` or for POLL_MS, whichever ends first. */
async function publishUntil(
  publishers: readonly ChannelPublisher[],
  payloads: readonly Uint8Array[],
  published: number,
  until: number,
): Promise<number> {
  const endMs = monotonicMs() + POLL_MS;
  let count = published;
  while (count < until && monotonicMs() < endMs) {
    const publishedAtUs = wallClockUs();
    const turn = Math.floor(count / BURST_MESSAGES) % publishers.length;
    const publisher = publishers[turn];
    assert(publisher !== undefined, 'there is a publisher for every turn');
    const burstEnd = Math.min(until, count + BURST_MESSAGES);
    while (count < burstEnd) {
      const payload = payloads[count % payloads.length];
      if (payload === undefined || !publisher.tryPublish(payload, publishedAtUs)) break;
      count += 1;
    }
    await (count < burstEnd ? publisher.writable() : yieldTurn());
  }
  if (count >= until) await delay(1);
  return count;
}

/**
 * JSON messages of exactly `payloadBytes` bytes, as an application would send; different, so that
 * they compress as such do.
 */
function samplePayloads(payloadBytes: number): Uint8Array[] {
  const random = processRandom();
  return Array.from({ length: 1_024 }, (_, index) => {
    const symbol = ['ACME', 'GLOBEX', 'INITECH', 'HOOLI'][randomBelow(random, 4)];
    const text = JSON.stringify({
      type: 'trade',
      id: index * 7_919,
      symbol,
      price: randomBelow(random, 1_000_000) / 100,
      quantity: randomBelow(random, 1_000),
      trader: `desk-${randomBelow(random, 50)}`,
      note: 'settled at venue',
    });
    return new TextEncoder().encode(text.padEnd(payloadBytes, ' ').slice(0, payloadBytes));
  });
}

function startArchiver(
  options: ArchiveBenchmarkOptions,
  channel: string,
  address: ChannelAddress,
): Promise<Archiver> {
  return Archiver.start({
    databaseUrl: options.databaseUrl,
    holder: `bench-${process.pid}`,
    interfaceAddress: options.interfaceAddress,
    receiveBufferBytes: 8 * 1_048_576,
    messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
    repairTimeoutMs: 10_000,
    sourceExpiryMs: 30_000,
    batchMessagesMax: BATCH_MESSAGES_MAX,
    batchBytesMax: BATCH_BYTES_MAX,
    batchAgeMs: BATCH_AGE_MS_DEFAULT,
    faults: undefined,
    channels: [channel],
    registry: openStaticRegistry(new Map([[channel, address]])),
    shardCount: 1,
    discoverEveryMs: 60_000,
    spool: options.spool,
    log: { info: () => undefined, warn: () => undefined },
  });
}

function openPublisher(
  options: ArchiveBenchmarkOptions,
  address: ChannelAddress,
): Promise<ChannelPublisher> {
  return ChannelPublisher.open({
    address,
    source: 'bench',
    interfaceAddress: options.interfaceAddress,
    packetBytesMax: options.packetBytesMax,
    messageBytesMax: 65_536,
    windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
    windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
    rateBytesPerSec: RATE_BYTES_PER_SEC,
    flushMs: 1,
    lingerMs: 100,
  });
}

async function storedBytes(database: ArchiveDatabase, channelId: number): Promise<number> {
  const sizes = await sql<{ bytes: number }>`
    SELECT coalesce(sum(pg_column_size(payload) + pg_column_size(published_at)
      + pg_column_size(run_session) + pg_column_size(run_first) + pg_column_size(run_length)),
      0)::bigint AS bytes
    FROM segments WHERE channel_id = ${channelId}`.execute(database);
  return sizes.rows[0]?.bytes ?? 0;
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

function stalled(archived: number, published: number): BackcastError {
  const message =
    `Nothing was archived for ${STALL_MS_MAX / 1000} s; ${archived} of ${published} published ` +
    "messages are. Look at the database's log.";
  return new BackcastError('BACKCAST_AUDIT_FAILED', message);
}
