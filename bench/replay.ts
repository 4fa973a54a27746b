// How fast the replay API streams history as NDJSON: messages of 140 bytes, JSON inside JSON, as a
// pessimist would choose them, since every quote must be escaped. Run it against a database that
// may be filled: `node bench/replay.ts postgres://… [messages]`. Prints one JSON object.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import {
  acquireLease,
  Appender,
  ensureChannel,
  migrateToLatest,
  openDatabase,
  type OpenDatabase,
} from '#archive/mod.ts';
import { SegmentBuilder } from '#archive/segment/mod.ts';
import { assert, seededRandom, randomSessionId, SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import { startReplayServer } from '#replay-api/mod.ts';

const [url, messagesText = '1000000'] = process.argv.slice(2);
const MESSAGE_COUNT = Math.ceil(Number(messagesText) / SEGMENT_MESSAGES_MAX) * SEGMENT_MESSAGES_MAX;
const MESSAGE_BYTES = 140;
const SEGMENTS_PER_BATCH = 16;
const ROUNDS = 3;

if (isMainThread) await measure();
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
else parentPort?.postMessage(await readAll(workerData as string));

async function measure(): Promise<void> {
  await migrateToLatest({ url });
  await using opened = openDatabase({
    url,
    poolConnectionsMax: 8,
    applicationName: 'backcast bench replay',
    statementTimeoutMs: 60_000,
  });
  const channel = `bench-${randomUUID()}`;
  await fill(opened, channel);
  await using server = await startReplayServer({
    database: opened,
    logger: pino({ level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  });
  let seconds = Number.POSITIVE_INFINITY;
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const startMs = performance.now();
    bytes = await readInWorker(`${server.url}/v1/channels/${channel}/messages`);
    seconds = Math.min(seconds, (performance.now() - startMs) / 1_000);
  }
  const result = {
    messagesPerSecond: Math.round(MESSAGE_COUNT / seconds),
    bytesPerSecond: Math.round(bytes / seconds),
    messageCount: MESSAGE_COUNT,
    messageBytes: MESSAGE_BYTES,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1_024,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function fill(opened: OpenDatabase, channel: string): Promise<void> {
  const place = { group: '239.255.0.1', port: 7500, dport: 7500, framing: 'native' } as const;
  const channelId = await ensureChannel(opened.database, channel, place);
  const lease = await acquireLease(opened.database, channelId, 'bench', 600_000);
  assert(lease.outcome === 'acquired', 'a channel of its own is free');
  const session = randomSessionId(seededRandom(Date.now()));
  await using appender = new Appender({
    url,
    applicationName: 'backcast bench replay',
    holder: 'bench',
  });
  let sequence = 0;
  while (sequence < MESSAGE_COUNT) {
    const expectedHead = sequence;
    const segments = [];
    while (segments.length < SEGMENTS_PER_BATCH && sequence < MESSAGE_COUNT) {
      const builder = new SegmentBuilder();
      const firstPosition = sequence + 1;
      for (let index = 0; index < SEGMENT_MESSAGES_MAX; index += 1) {
        sequence += 1;
        const bytes = payload(sequence);
        builder.append(session, sequence, bytes, 0, bytes.length, Date.now() * 1_000 + index);
      }
      segments.push(builder.finish(firstPosition));
    }
    const progress = {
      session,
      source: 'bench',
      isForeign: false,
      tsi: '1',
      state: 'open' as const,
    };
    const sequences = { firstArchived: 1, watermark: sequence, lead: sequence, resumeSqn: 0 };
    await appender.append({
      channelId,
      epoch: lease.epoch,
      expectedHead,
      segments,
      sessions: [{ ...progress, ...sequences }],
      losses: [],
      heals: [],
      conflicts: [],
    });
  }
}

function payload(sequence: number): Buffer {
  const text = `{"order":${sequence},"symbol":"ACME","side":"buy","price":101.25,"note":"`;
  return Buffer.from(`${text.padEnd(MESSAGE_BYTES - 2, 'x')}"}`);
}

/** Reads `address` to its end in a thread of its own, so that the server has one to itself. */
async function readInWorker(address: string): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: address });
  const [bytes] = (await once(worker, 'message')) as [number];
  return bytes;
}

/** Reads a stream; gives its bytes. The end line is the proof that nothing is missing. */
function readAll(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { headers: { accept: 'application/x-ndjson' } };
    const request = get(address, options, (response) => {
      let bytes = 0;
      let tail = '';
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        tail = chunk.subarray(-300).toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        const isWhole = tail.includes('"kind":"end","complete":true');
        if (isWhole) resolve(bytes);
        else reject(new Error(`the stream ended with ${tail}`));
      });
    });
    request.on('error', reject);
  });
}
