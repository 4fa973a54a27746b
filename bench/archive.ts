// Measures the whole path on one host: publish → multicast on the loopback interface → archiver → COMMIT,
// and says how many messages per second became durable. Closed loop: the publisher runs at most
// OUTSTANDING_MESSAGES_MAX ahead of the archive, so that the slowest part sets the pace and nothing is
// lost on the way; the run fails if anything was.

import { setTimeout as delay } from 'node:timers/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { audit, ensureChannel, openDatabase } from '#archive/mod.ts';
import { BackcastError, type ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { Archiver } from '#ingest/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';

/** What to run. */
export interface ArchiveBenchmarkOptions {
  /** A migrated database; its channel `bench-…` is new for every run. */
  readonly databaseUrl: string;
  readonly interfaceAddress: string;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
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
  readonly packetsSent: number;
  readonly repairsSent: number;
  readonly messagesLost: number;
  /** Largest resident memory of the process that publishes and archives. */
  readonly peakMemoryBytes: number;
  readonly cpuSeconds: number;
  readonly audit: 'complete' | 'incomplete';
  readonly server: string;
  readonly machine: string;
  readonly node: string;
}

/** Enough to keep every part busy, little enough for socket buffers and memory to stay flat. */
const OUTSTANDING_MESSAGES_MAX = 131_072;
/** Messages handed over between two looks at the clock. */
const BURST_MESSAGES = 512;
const STALL_MS_MAX = 30_000;

/** Runs the benchmark once. Errors: those of the archiver; BACKCAST_AUDIT_FAILED if anything is missing. */
export async function benchmarkArchive(
  options: ArchiveBenchmarkOptions,
): Promise<ArchiveBenchmarkResult> {
  const channel = `bench-${Date.now()}`;
  const address = addressFor(channel);
  await using resources = new AsyncDisposableStack();
  const { database } = resources.use(
    openDatabase({
      url: options.databaseUrl,
      applicationName: 'backcast bench',
      statementTimeoutMs: 60_000,
      poolSizeMax: 2,
    }),
  );
  const archiver = resources.use(await startArchiver(options, channel, address));
  await archiver.recording(channel);
  const channelId = await ensureChannel(database, channel, address);
  const publisher = resources.use(await openPublisher(options, address));
  const archived = async (): Promise<number> => {
    const lease = await database
      .selectFrom('leases')
      .select('head')
      .where('channel_id', '=', channelId)
      .executeTakeFirstOrThrow();
    return lease.head;
  };
  const before = process.cpuUsage();
  const elapsedMs = await publishAll(options, publisher, archived);
  const cpu = process.cpuUsage(before);
  await delay(600);
  const verdict = await audit(database, { channel });
  const stored = await storedBytes(database, channelId);
  const lost = archiver.counters[channel]?.receiver.messagesLost ?? 0;
  return {
    messagesPerSecond: Math.round((options.messages * 1000) / elapsedMs),
    megabytesPerSecond: Math.round((options.messages * options.payloadBytes) / elapsedMs / 1000),
    elapsedMs: Math.round(elapsedMs),
    messages: options.messages,
    payloadBytes: options.payloadBytes,
    packetBytesMax: options.packetBytesMax,
    storedBytesPerMessage: Math.round(stored / options.messages),
    packetsSent: publisher.counters.packetsSent,
    repairsSent: publisher.counters.repairsSent,
    messagesLost: lost,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    cpuSeconds: Math.round((cpu.user + cpu.system) / 10_000) / 100,
    audit: verdict.isComplete ? 'complete' : 'incomplete',
    server: await serverVersion(database),
    machine: `${platform()} ${arch()}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
  };
}
