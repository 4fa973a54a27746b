// Measures how many messages per second reach COMMIT: segments of 140-byte JSON messages of three
// interleaving publishers are built and appended as fast as they go, on one connection per channel.
//
//   node bench/append.ts [--seconds 5] [--connections 1] [--compression auto|lz4|pglz|none]
//
// On the server of DATABASE_URL, in a database of its own that is dropped afterwards; without it,
// on an embedded server in a temporary folder. Prints one line of JSON.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import {
  acquireLease,
  Appender,
  ensureChannel,
  migrateToLatest,
  openDatabase,
  startEmbeddedPostgres,
} from '#archive/mod.ts';
import type { ArchiveBatch, Compression } from '#archive/mod.ts';
import { SegmentBuilder } from '#archive/segment/mod.ts';
import { sessionFromWords } from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';

const SEGMENTS_PER_BATCH = 8;
const MESSAGE_BYTES = 140;
/** Messages of one publisher in a row, as they come out of its packets. */
const RUN_MESSAGES = 10;
const SAMPLES = 8_192;

interface Progress {
  messages: number;
  buildMs: number;
  batches: number;
}

/** 140-byte JSON texts that differ as real ones do, one behind the other. */
function sampleMessages(): Uint8Array {
  const bytes = Buffer.alloc(SAMPLES * MESSAGE_BYTES, ' ');
  for (let index = 0; index < SAMPLES; index += 1) {
    const price = (100 + Math.sin(index) * 10).toFixed(4);
    const id = randomBytes(8).toString('hex');
    const text = `{"type":"trade","symbol":"SYM${index % 500}","price":${price},"quantity":${
      (index * 37) % 1000
    },"venue":"XNYS","id":"${id}","sequence":${index}}`;
    bytes.write(text.slice(0, MESSAGE_BYTES), index * MESSAGE_BYTES, 'latin1');
  }
  return bytes;
}

class Publishers {
  readonly #samples = sampleMessages();
  readonly #sessions: readonly SessionId[] = [1, 2, 3].map((low) => sessionFromWords(7, low));
  readonly #sequences = [1, 1, 1];
  #turn = 0;

  fill(builder: SegmentBuilder, publishedAtUs: number): void {
    while (!builder.isFull) {
      const who = this.#turn % 3;
      for (let count = 0; count < RUN_MESSAGES && !builder.isFull; count += 1) {
        const sequence = this.#sequences[who];
        const start = ((sequence * 3 + who) % SAMPLES) * MESSAGE_BYTES;
        const end = start + MESSAGE_BYTES;
        builder.append(this.#sessions[who], sequence, this.#samples, start, end, publishedAtUs);
        this.#sequences[who] = sequence + 1;
      }
      this.#turn += 1;
    }
  }
}

async function appendFor(url: string, channel: string, endMs: number): Promise<Progress> {
  await using opened = openDatabase({
    url,
    poolConnectionsMax: 1,
    applicationName: 'bench',
    statementTimeoutMs: 60_000,
  });
  const address = { group: '239.1.2.3', port: 7_500, dport: 7_500, framing: 'native' } as const;
  const channelId = await ensureChannel(opened.database, channel, address);
  const lease = await acquireLease(opened.database, channelId, 'bench', 60_000);
  if (lease.outcome !== 'acquired') throw new Error('the lease is held');
  await using appender = new Appender({ url, applicationName: 'bench', holder: 'bench' });
  const publishers = new Publishers();
  const builders = Array.from({ length: 2 * SEGMENTS_PER_BATCH }, () => new SegmentBuilder());
  const progress: Progress = { messages: 0, buildMs: 0, batches: 0 };
  let head = lease.head;
  let running: Promise<unknown> = Promise.resolve();
  while (performance.now() < endMs) {
    const half = (progress.batches % 2) * SEGMENTS_PER_BATCH;
    const started = performance.now();
    const batch = buildBatch(
      { channelId, epoch: lease.epoch, expectedHead: head },
      builders.slice(half, half + SEGMENTS_PER_BATCH),
      publishers,
    );
    progress.buildMs += performance.now() - started;
    head = batch.segments.reduce((sum, segment) => sum + segment.messageCount, head);
    await running;
    running = appender.append(batch);
    progress.batches += 1;
  }
  await running;
  progress.messages = head - lease.head;
  return progress;
}

function buildBatch(
  place: Pick<ArchiveBatch, 'channelId' | 'epoch' | 'expectedHead'>,
  builders: readonly SegmentBuilder[],
  publishers: Publishers,
): ArchiveBatch {
  let firstPosition = place.expectedHead + 1;
  const segments = builders.map((builder) => {
    builder.reset();
    publishers.fill(builder, Date.now() * 1000);
    const segment = builder.finish(firstPosition);
    firstPosition += segment.messageCount;
    return segment;
  });
  return { ...place, segments, sessions: [], losses: [], heals: [], conflicts: [] };
}

async function storedBytes(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const found = await client.query<{ bytes: string }>(`
    SELECT sum(pg_total_relation_size(inhrelid)) AS bytes FROM pg_inherits
    WHERE inhparent IN ('segments'::regclass, 'segment_sessions'::regclass)`);
  await client.end();
  return Number(found.rows[0].bytes);
}

async function onServer(url: string, use: (url: string) => Promise<void>): Promise<void> {
  const name = `backcast_bench_${randomBytes(4).toString('hex')}`;
  const admin = new Client({ connectionString: url });
  await admin.connect();
  try {
    await admin.query(`CREATE DATABASE ${name}`);
    const own = new URL(url);
    own.pathname = `/${name}`;
    await use(own.href);
  } finally {
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.end();
  }
}

async function withServer(use: (url: string) => Promise<void>): Promise<void> {
  const given = process.env['DATABASE_URL'];
  if (given !== undefined) return onServer(given, use);
  const homeDir = await mkdtemp(join(tmpdir(), 'backcast-bench-'));
  try {
    await using postgres = await startEmbeddedPostgres({ homeDir });
    await onServer(postgres.url, use);
  } finally {
    await rm(homeDir, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '1' },
    compression: { type: 'string', default: 'auto' },
  },
});

await withServer(async (url) => {
  const compression = values.compression as Compression;
  await migrateToLatest({ url, compression });
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const endMs = startedMs + Number(values.seconds) * 1000;
  const channels = Array.from(
    { length: Number(values.connections) },
    (_, index) => `bench.${index}`,
  );
  const results = await Promise.all(channels.map((channel) => appendFor(url, channel, endMs)));
  const elapsedMs = performance.now() - startedMs;
  const messages = results.reduce((sum, result) => sum + result.messages, 0);
  const cpu = process.cpuUsage(cpuBefore);
  const report = {
    bench: 'append',
    server: process.env['DATABASE_URL'] === undefined ? 'embedded' : 'given',
    compression,
    connections: channels.length,
    messageBytes: MESSAGE_BYTES,
    messagesPerSecond: Math.round((messages / elapsedMs) * 1000),
    buildNsPerMessage: Math.round(
      (results.reduce((sum, result) => sum + result.buildMs, 0) * 1e6) / messages,
    ),
    nodeCpuNsPerMessage: Math.round(((cpu.user + cpu.system) * 1000) / messages),
    storedBytesPerMessage: Math.round((await storedBytes(url)) / messages),
    memoryMebibytes: Math.round(process.memoryUsage.rss() / 1_048_576),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
});
