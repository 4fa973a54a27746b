// Measures many quiet channels: so many channels with so few messages a second each, one archiver.
// Says how many transactions a second that makes and how old a message is when it is committed, to
// the 20 milliseconds between two looks.
//
//   node bench/quiet.ts [--channels 1000] [--rate 1] [--seconds 15] [--shards 1]
//
// On the server of DATABASE_URL, in channels `quiet-…` of its own; without it, on an embedded
// server in a temporary folder. Prints one line of JSON.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type ArchiveDatabase, migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import {
  type ChannelAddress,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import type { Archiver } from '#ingest/mod.ts';
import { monotonicMs, wallClockUs } from '#multicast/udp/mod.ts';
import { openBenchmarkDatabase, startArchiver } from './archive-stage.ts';
import { benchmarkAddress } from './machine.ts';

/** A channel with what has been published to it and was not seen committed yet. */
interface QuietChannel {
  readonly name: string;
  readonly publisher: ChannelPublisher;
  readonly waitingSinceMs: number[];
  seen: number;
}

const POLL_MS = 20;
const INTERFACE = '127.0.0.1';
const MESSAGE = new TextEncoder().encode('{"type":"heartbeat"}'.padEnd(140, ' '));

const { values } = parseArgs({
  options: {
    channels: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '15' },
    shards: { type: 'string', default: '1' },
  },
});
const channelCount = Number(values.channels);
const ratePerChannel = Number(values.rate);
const runMs = Number(values.seconds) * 1000;

await withServer(async (databaseUrl) => {
  await migrateToLatest({ url: databaseUrl });
  await using resources = new AsyncDisposableStack();
  const { database } = resources.use(openBenchmarkDatabase(databaseUrl));
  const addresses = new Map<string, ChannelAddress>();
  for (let index = 1; index <= channelCount; index += 1) {
    addresses.set(`quiet-${Date.now()}-${index}`, { ...benchmarkAddress(), port: 20_000 + index });
  }
  const place = { databaseUrl, interfaceAddress: INTERFACE };
  const archiver = resources.use(await startArchiver(place, addresses, Number(values.shards)));
  const channels: QuietChannel[] = [];
  for (const [name, address] of addresses) {
    await archiver.recording(name);
    const publisher = resources.use(await openPublisher(address));
    channels.push({ name, publisher, waitingSinceMs: [], seen: 0 });
  }
  const before = commitsOf(archiver);
  const cpuBefore = process.cpuUsage();
  const ages = await publishQuietly(database, channels);
  const cpu = process.cpuUsage(cpuBefore);
  ages.sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? Number.NaN);
  const report = {
    bench: 'quiet',
    channels: channelCount,
    ratePerChannel,
    shards: Number(values.shards),
    messagesCommitted: ages.length,
    transactionsPerSecond: Math.round(((commitsOf(archiver) - before) * 1000) / runMs),
    latencyMsP50: at(0.5),
    latencyMsP99: at(0.99),
    latencyMsMax: at(1),
    nodeCpuShare: Math.round((cpu.user + cpu.system) / runMs / 10) / 100,
    memoryMebibytes: Math.round(process.memoryUsage.rss() / 1_048_576),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
});

/** Publishes evenly over the channels; returns the age of each message at its commit. */
async function publishQuietly(
  database: ArchiveDatabase,
  channels: readonly QuietChannel[],
): Promise<number[]> {
  const ages: number[] = [];
  const startedAtMs = monotonicMs();
  let count = 0;
  while (monotonicMs() - startedAtMs < runMs) {
    const due = ((monotonicMs() - startedAtMs) * ratePerChannel * channels.length) / 1000;
    for (; count < due; count += 1) {
      const channel = channels[count % channels.length];
      if (!channel.publisher.tryPublish(MESSAGE, wallClockUs())) break;
      channel.waitingSinceMs.push(monotonicMs());
    }
    await noteCommitted(database, channels, ages);
    await delay(POLL_MS);
  }
  return ages;
}

async function noteCommitted(
  database: ArchiveDatabase,
  channels: readonly QuietChannel[],
  ages: number[],
): Promise<void> {
  const rows = await database
    .selectFrom('leases')
    .innerJoin('channels', 'channels.channel_id', 'leases.channel_id')
    .where('head', '>', 0)
    .select(['name', 'head'])
    .execute();
  const heads = new Map(rows.map(({ name, head }) => [name, head]));
  const nowMs = monotonicMs();
  for (const channel of channels) {
    const fresh = (heads.get(channel.name) ?? 0) - channel.seen;
    channel.seen += fresh;
    for (const sinceMs of channel.waitingSinceMs.splice(0, fresh)) ages.push(nowMs - sinceMs);
  }
}

function commitsOf(archiver: Archiver): number {
  return Object.values(archiver.counters).reduce((sum, { commits }) => sum + commits, 0);
}

function openPublisher(address: ChannelAddress): Promise<ChannelPublisher> {
  return ChannelPublisher.open({
    address,
    source: 'bench',
    interfaceAddress: INTERFACE,
    packetBytesMax: 1_472,
    messageBytesMax: 65_536,
    windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
    windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
    rateBytesPerSec: 1_000_000,
    flushMs: 1,
    lingerMs: 0,
  });
}

async function withServer(use: (url: string) => Promise<void>): Promise<void> {
  const given = process.env['DATABASE_URL'];
  if (given !== undefined) return use(given);
  const homeDir = await mkdtemp(join(tmpdir(), 'backcast-bench-'));
  try {
    await using postgres = await startEmbeddedPostgres({ homeDir });
    await use(postgres.url);
  } finally {
    await rm(homeDir, { recursive: true, force: true });
  }
}
