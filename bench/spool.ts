// Measures what an outage of PostgreSQL costs. An archiver records a steady stream while its server
// is killed, away and back; how fast what was spooled is archived beside what still comes is
// compared with the rate of the stream. Beside that, the spool alone, and the path without an
// outage with and without a spool, turn about.
//
//   node bench/spool.ts [--rate 20000] [--size 200] [--outage 15] [--rounds 3]
//
// On an embedded server in a temporary folder. Prints one line of JSON.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import { BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, type ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { Archiver, type SpoolSettings } from '#ingest/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';
import { measureThroughput } from './archive.ts';
import { openBenchmarkDatabase } from './archive-stage.ts';
import { benchmarkAddress } from './machine.ts';

const MEBIBYTE = 1_048_576;
const TICK_MS = 10;
const DIRECT_MESSAGES = 300_000;
const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20000' },
    size: { type: 'string', default: '200' },
    outage: { type: 'string', default: '15' },
    rounds: { type: 'string', default: '3' },
  },
});
const rate = Number(values.rate);
const payloadBytes = Number(values.size);
const outageMs = Number(values.outage) * 1_000;

const home = await mkdtemp(join(tmpdir(), 'backcast-bench-'));
let server = await startEmbeddedPostgres({ homeDir: home });
try {
  await migrateToLatest({ url: server.url });
  const spool = { path: join(home, 'spool'), bytesMax: 1_024 * MEBIBYTE };
  const outage = await measureOutage(spool);
  const direct = await measureDirect(spool);
  const report = { bench: 'spool', rate, payloadBytes, outageMs, ...outage, ...direct };
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  await server.stop();
  await rm(home, { recursive: true, force: true });
}

async function measureOutage(spool: SpoolSettings) {
  const address = benchmarkAddress();
  await using archiver = await startArchiver(address, spool);
  await archiver.recording('bench');
  await using publisher = await openPublisher(address);
  const published = { count: 0 };
  const stopping = new AbortController();
  const loopDelayNs = monitorEventLoopDelay({ resolution: 5 });
  const publishing = publishSteadily(publisher, published, stopping.signal);
  await delay(2_000);
  loopDelayNs.enable();
  await crash();
  await delay(outageMs);
  server = await startEmbeddedPostgres({ homeDir: home });
  const drain = await measureDrain(archiver, () => published.count);
  stopping.abort();
  await publishing;
  await until(() => archivedOf(archiver) === published.count);
  const { receiver, overrunDatagrams } = archiver.counters['bench'] ?? {};
  return {
    ...drain,
    drainToIngest: Math.round((drain.drainedPerSecond / rate) * 10) / 10,
    lost: receiver?.messagesLost,
    overrunDatagrams,
    peakMemoryMebibytes: Math.round(process.resourceUsage().maxRSS / 1_024),
    mainLoopDelayMsMax: Math.round(loopDelayNs.max / 1e6),
  };
}

/** From the first message archived again until nothing waits. */
async function measureDrain(archiver: Archiver, publishedCount: () => number) {
  const before = archivedOf(archiver);
  await until(() => archivedOf(archiver) > before);
  const startedAtMs = performance.now();
  const first = archivedOf(archiver);
  const waiting = publishedCount() - first;
  await until(() => !(archiver.counters['bench']?.spooling ?? true));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const drained = archivedOf(archiver) - first;
  return {
    waiting,
    drainSeconds: Math.round(seconds * 10) / 10,
    drainedPerSecond: Math.round(drained / seconds),
  };
}

/** Messages per second without an outage, medians of runs that take turns. */
async function measureDirect(spool: SpoolSettings) {
  await using opened = openBenchmarkDatabase(server.url);
  const rates: Record<'with' | 'without', number[]> = { with: [], without: [] };
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const kind of ['without', 'with'] as const) {
      const options = {
        databaseUrl: server.url,
        interfaceAddress: '127.0.0.1',
        messages: DIRECT_MESSAGES,
        payloadBytes,
        packetBytesMax: 8_972,
        shards: 1,
        publisherCount: 1,
        spool: kind === 'with' ? spool : undefined,
      };
      const { messagesPerSecond } = await measureThroughput(options, opened);
      rates[kind].push(messagesPerSecond);
    }
  }
  const [withSpool, without] = [median(rates.with), median(rates.without)];
  const share = Math.round((withSpool / without) * 100) / 100;
  return { directWithSpool: withSpool, directWithout: without, directShare: share };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

function archivedOf(archiver: Archiver): number {
  return archiver.counters['bench']?.archivedPosition ?? 0;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await delay(TICK_MS);
}

async function publishSteadily(
  publisher: ChannelPublisher,
  published: { count: number },
  signal: AbortSignal,
): Promise<void> {
  const payload = Buffer.alloc(payloadBytes, 'x');
  const startedAtMs = performance.now();
  while (!signal.aborted) {
    const due = ((performance.now() - startedAtMs) * rate) / 1_000;
    for (; published.count < due; published.count += 1) await publisher.publish(payload);
    await delay(TICK_MS);
  }
}

/** The server dies, and is not waited for. */
async function crash(): Promise<void> {
  const lockFile = join(home, 'postgres', 'data', 'postmaster.pid');
  process.kill(Number((await readFile(lockFile, 'utf8')).split('\n')[0]), 'SIGQUIT');
  await server.exited;
}

function startArchiver(address: ChannelAddress, spool: SpoolSettings): Promise<Archiver> {
  return Archiver.start({
    databaseUrl: server.url,
    holder: `bench-${process.pid}`,
    interfaceAddress: '127.0.0.1',
    receiveBufferBytes: 8 * MEBIBYTE,
    messageBytesMax: MEBIBYTE,
    repairTimeoutMs: 10_000,
    sourceExpiryMs: 30_000,
    batchMessagesMax: BATCH_MESSAGES_MAX,
    batchBytesMax: BATCH_BYTES_MAX,
    batchAgeMs: 20,
    faults: undefined,
    channels: ['bench'],
    registry: openStaticRegistry(new Map([['bench', address]])),
    shardCount: 1,
    discoverEveryMs: 60_000,
    spool,
    log: { info: () => undefined, warn: () => undefined },
  });
}

function openPublisher(address: ChannelAddress): Promise<ChannelPublisher> {
  return ChannelPublisher.open({
    address,
    source: 'bench',
    interfaceAddress: '127.0.0.1',
    packetBytesMax: 1_472,
    messageBytesMax: 65_536,
    windowPackets: 4_096,
    windowBytes: 8 * MEBIBYTE,
    rateBytesPerSec: 100_000_000,
    flushMs: 1,
    lingerMs: 100,
  });
}
