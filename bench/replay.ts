// How fast history comes back: the same stored messages as segments and as NDJSON through the
// replay API, to a reader on a thread of its own, beside COPY OUT of the same rows in the same run;
// and how long a page of a hundred messages takes at random places. Beside as much as is stored.

import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { Worker } from 'node:worker_threads';
import { to as copyTo } from 'pg-copy-streams';
import { pino } from 'pino';
import { type Channel, findChannel, type OpenDatabase } from '#archive/mod.ts';
import { assert, randomBelow, seededRandom } from '#base/mod.ts';
import { SEGMENTS_TYPE } from '#client/stream/mod.ts';
import { startReplayServer } from '#replay-api/mod.ts';
import { openBenchmarkDatabase } from './archive-stage.ts';
import { fillArchive } from './fill.ts';
import { describeMachine } from './machine.ts';
import type { ReplayReaderData, ReplayReaderReport } from './replay-reader.ts';

/** What to measure. */
export interface ReplayBenchmarkOptions {
  /** A migrated database; what is missing is stored there, in channels `bench-stored-…`. */
  readonly databaseUrl: string;
  /** Messages of each stream. */
  readonly messages: number;
  readonly payloadBytes: number;
  /** Pages of a hundred messages whose time is taken. */
  readonly pages: number;
  /** Stored messages beside which to measure, ascending; what is there if fewer are wanted. */
  readonly stored: readonly number[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((text: string) => void) | undefined;
}

/** One way of reading, as far as its reader saw it. */
export interface ReplayRate {
  readonly form: 'copy' | 'segments' | 'ndjson';
  readonly messagesPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Until the first message was in the reader's hands; null for COPY. */
  readonly firstMessageMs: number | null;
  /** Messages per second of processor time of the reading thread; null for COPY. */
  readonly perReaderCore: number | null;
  /** The same of the serving thread. */
  readonly perServerCore: number | null;
}

/** What was measured beside so many stored messages. */
export interface ReplayStep {
  readonly storedMessages: number;
  readonly rates: readonly ReplayRate[];
  readonly pageMsP50: number;
  readonly pageMsP99: number;
}

/** What was measured. */
export interface ReplayBenchmarkResult {
  readonly steps: readonly ReplayStep[];
  readonly messages: number;
  readonly payloadBytes: number;
  readonly server: string;
  readonly machine: string;
  readonly node: string;
}

const FORMS = { segments: SEGMENTS_TYPE, ndjson: 'application/x-ndjson' } as const;
const ROUNDS = 3;
const PAGE_MESSAGES = 100;
const SEED = 7;

/** Measures one step after the other; rejects with the reason of `signal` once it is aborted. */
export async function benchmarkReplay(
  options: ReplayBenchmarkOptions,
): Promise<ReplayBenchmarkResult> {
  const { databaseUrl, messages, payloadBytes, stored } = options;
  await using opened = openBenchmarkDatabase(databaseUrl);
  const steps: ReplayStep[] = [];
  for (const wanted of stored) {
    await fillTo(opened, Math.max(wanted, messages), options);
    const largest = await largestChannel(opened);
    assert(largest !== undefined, 'a filled archive has a channel');
    const channel = await findChannel(opened.database, largest.name);
    steps.push(await measure(opened, channel, options));
  }
  const { rows } = await opened.pool.query<{ server: string }>(
    `SELECT 'PostgreSQL ' || current_setting('server_version') AS server`,
  );
  const { server } = rows[0];
  const node = process.version;
  return { steps, messages, payloadBytes, server, machine: describeMachine(), node };
}

async function fillTo(
  opened: OpenDatabase,
  wanted: number,
  { databaseUrl, messages, payloadBytes, signal, onProgress }: ReplayBenchmarkOptions,
): Promise<void> {
  const stored = await countStored(opened);
  const largest = await largestChannel(opened);
  // Two lanes fill a channel each, of which one alone must have what is read.
  const own = (largest?.head ?? 0) < messages ? 2 * messages : 0;
  const missing = Math.max(own, wanted - stored);
  if (missing <= 0) return;
  await fillArchive(opened.database, {
    databaseUrl,
    messages: missing,
    payloadBytes,
    signal,
    onProgress: (count) => onProgress?.(`stored ${count} of ${missing} more`),
  });
}

async function countStored({ pool }: OpenDatabase): Promise<number> {
  const { rows } = await pool.query<{ stored: number }>(
    'SELECT coalesce(sum(head), 0)::bigint AS stored FROM leases',
  );
  return rows[0].stored;
}

async function largestChannel({
  pool,
}: OpenDatabase): Promise<{ readonly name: string; readonly head: number } | undefined> {
  const { rows } = await pool.query<{ name: string; head: number }>(
    `SELECT name, head FROM channels JOIN leases USING (channel_id)
     WHERE name LIKE 'bench-stored-%' ORDER BY head DESC LIMIT 1`,
  );
  return rows.at(0);
}

async function measure(
  opened: OpenDatabase,
  channel: Channel,
  options: ReplayBenchmarkOptions,
): Promise<ReplayStep> {
  const { signal, onProgress } = options;
  const messages = Math.min(options.messages, channel.archivedThrough);
  await using server = await startReplayServer({
    database: opened,
    logger: pino({ level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  });
  const path = `${server.url}/v1/channels/${channel.name}/messages`;
  const rates: ReplayRate[] = [];
  for (const form of ['copy', 'segments', 'ndjson'] as const) {
    signal?.throwIfAborted();
    onProgress?.(`${form}: reading ${messages} messages`);
    const rounds: ReplayRate[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rounds.push(
        form === 'copy'
          ? await copyOut(opened, channel, messages)
          : await stream(form, `${path}?limit=${messages}`, messages),
      );
    }
    rounds.sort((one, other) => one.messagesPerSecond - other.messagesPerSecond);
    rates.push(rounds[Math.floor(ROUNDS / 2)]);
  }
  signal?.throwIfAborted();
  onProgress?.(`pages: ${options.pages} of ${PAGE_MESSAGES} messages`);
  const pages = await measurePages(path, channel, options.pages);
  return { storedMessages: await countStored(opened), rates, ...pages };
}

/** The rows of the first messages out of the database, as fast as it gives them. */
async function copyOut(
  { pool }: OpenDatabase,
  { channelId }: Channel,
  messages: number,
): Promise<ReplayRate> {
  const rows = `SELECT first_position, message_count, archived_at, run_session, run_first,
      run_length, published_at, payload, run_last, run_archived_at
    FROM segments WHERE channel_id = ${channelId} AND first_position <= ${messages}`;
  const client = await pool.connect();
  try {
    const startedMs = performance.now();
    let bytes = 0;
    for await (const chunk of client.query(copyTo(`COPY (${rows}) TO STDOUT (FORMAT binary)`))) {
      bytes += (chunk as Buffer).length;
    }
    const seconds = (performance.now() - startedMs) / 1_000;
    return {
      form: 'copy',
      messagesPerSecond: Math.round(messages / seconds),
      megabytesPerSecond: Math.round(bytes / seconds / 1_000_000),
      firstMessageMs: null,
      perReaderCore: null,
      perServerCore: null,
    };
  } finally {
    client.release();
  }
}

async function stream(
  form: keyof typeof FORMS,
  url: string,
  messages: number,
): Promise<ReplayRate> {
  const workerData: ReplayReaderData = { url, accept: FORMS[form] };
  const before = process.threadCpuUsage();
  const worker = new Worker(new URL('./replay-reader.ts', import.meta.url), { workerData });
  const [report] = (await once(worker, 'message')) as [ReplayReaderReport];
  const { user, system } = process.threadCpuUsage(before);
  assert(report.messages === messages, 'a stream has every message');
  const seconds = report.elapsedMs / 1_000;
  return {
    form,
    messagesPerSecond: Math.round(messages / seconds),
    megabytesPerSecond: Math.round(report.bytes / seconds / 1_000_000),
    firstMessageMs: Math.round(report.firstMs * 10) / 10,
    perReaderCore: Math.round((messages * 1_000) / report.cpuMs),
    perServerCore: Math.round((messages * 1_000_000) / (user + system)),
  };
}

async function measurePages(
  path: string,
  channel: Channel,
  count: number,
): Promise<Pick<ReplayStep, 'pageMsP50' | 'pageMsP99'>> {
  const random = seededRandom(SEED);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times: number[] = [];
  for (let page = 0; page < count; page += 1) {
    const after = randomBelow(random, Math.max(1, channel.archivedThrough - PAGE_MESSAGES));
    const startedMs = performance.now();
    await drain(`${path}?after=${after}&limit=${PAGE_MESSAGES}`, agent);
    times.push(performance.now() - startedMs);
  }
  agent.destroy();
  times.sort((one, other) => one - other);
  const at = (share: number): number =>
    Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] * 100) / 100;
  return { pageMsP50: at(0.5), pageMsP99: at(0.99) };
}

function drain(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`a page is answered ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}
