// An outage of the database under steady traffic, measured: what the archiver needs of memory and
// disk meanwhile, and how fast it makes up for it afterwards, while traffic goes on.

import assert from 'node:assert/strict';
import type { ArchiverProcess } from './watched-archiver.ts';
import { startArchiverProcess } from './watched-archiver.ts';
import { type Scene, setScene } from './archiving.ts';
import { createTestFolder } from './folder.ts';
import { type FragileServer, startFragileServer } from './fragile-server.ts';
import { judge, publishedBy } from './judgement.ts';
import { startTraffic, type Traffic } from './steady-traffic.ts';
import { until } from './until.ts';

/** What to do. */
export interface OutageOptions {
  readonly awayMs: number;
  readonly messagesPerSec: number;
  /** What the spool may take of the disk. */
  readonly spoolBytesMax: number;
  /** Called now and then with a line about how it stands. */
  readonly onSample?: (line: string) => void;
}

/** What came out of an outage that lost nothing. */
export interface OutageResult {
  readonly messageCount: number;
  /** Most memory that the archiver ever had. */
  readonly residentBytesMost: number;
  readonly spoolBytesMost: number;
  /** From the return of the database until the archive was a second behind at most. */
  readonly drainMs: number;
  /** Messages archived a second meanwhile. */
  readonly drainedPerSec: number;
}

/** Enough for the database to be busy before it goes. */
const BEFORE_MESSAGES = 20_000;
const PAYLOAD_BYTES = 120;
const SAMPLE_EVERY_MS = 10_000;
const DRAIN_MS_MAX = 600_000;

interface Stage {
  readonly scene: Scene;
  readonly server: FragileServer;
  readonly archiver: ArchiverProcess;
  readonly traffic: Traffic;
}

/** Runs one outage from beginning to end. Fails if anything is lost, doubled or changed. */
export async function runOutage(options: OutageOptions): Promise<OutageResult> {
  const { messagesPerSec, spoolBytesMax } = options;
  await using server = await startFragileServer();
  await using scene = await setScene({ databaseUrl: server.url });
  await using folder = await createTestFolder();
  await using publisher = await scene.openPublisher({ lingerMs: 300 });
  await using archiver = await startArchiverProcess({
    homeDir: folder.path,
    databaseUrl: server.url,
    config: {
      channels: [{ name: scene.channel, ...scene.address }],
      archiver: { name: 'archiver', shards: 1, spool: { bytesMax: spoolBytesMax } },
    },
  });
  assert.ok(await archiver.records(scene.channel), archiver.said.join('\n'));
  await using traffic = startTraffic([publisher], { messagesPerSec, payloadBytes: PAYLOAD_BYTES });
  const stage = { scene, server, archiver, traffic };
  await scene.accounted(BEFORE_MESSAGES);
  await server.crash();
  const spoolBytesMost = await beAway(stage, options);
  await server.restart();
  const drain = await measureDrain(stage, messagesPerSec);
  const drained = Math.round(drain.drainedPerSec);
  options.onSample?.(`drained in ${Math.round(drain.drainMs)} ms, ${drained} messages a second`);
  await traffic.stop();
  await scene.accounted(traffic.publishedCount);
  const residentBytesMost = await archiver.residentBytesMost();
  assert.equal(await archiver.stop(), 0, archiver.said.join('\n'));
  const { storedCount } = await judge(scene, [publishedBy(publisher)]);
  return { messageCount: storedCount, residentBytesMost, spoolBytesMost, ...drain };
}

/** Lets the outage last, and says what the spool took. */
async function beAway({ archiver, traffic }: Stage, options: OutageOptions): Promise<number> {
  const endAtMs = performance.now() + options.awayMs;
  let sampleAtMs = 0;
  let spoolBytesMost = 0;
  await until(
    'the outage is over',
    async () => {
      assert.equal(archiver.end, undefined, archiver.said.join('\n'));
      const nowMs = performance.now();
      if (nowMs < sampleAtMs && nowMs < endAtMs) return false;
      sampleAtMs = nowMs + SAMPLE_EVERY_MS;
      spoolBytesMost = (await archiver.metric('backcast_archiver_spool_bytes')) ?? 0;
      const resident = mebibytes(await archiver.residentBytes());
      const spool = mebibytes(spoolBytesMost);
      options.onSample?.(`${traffic.publishedCount} messages: memory ${resident}, spool ${spool}`);
      return nowMs >= endAtMs;
    },
    options.awayMs + SAMPLE_EVERY_MS,
  );
  return spoolBytesMost;
}

/** From just before the first commit until the archive is a second behind the publisher. */
async function measureDrain(
  { scene, traffic }: Stage,
  messagesPerSec: number,
): Promise<Pick<OutageResult, 'drainMs' | 'drainedPerSec'>> {
  const backAtMs = performance.now();
  let first = await headOf(scene);
  await until(
    'archiving goes on',
    async () => {
      const head = await headOf(scene);
      if (head.position > first.position) return true;
      first = head;
      return false;
    },
    DRAIN_MS_MAX,
  );
  const isDrained = async (): Promise<Head | false> => {
    const head = await headOf(scene);
    return traffic.publishedCount - head.position <= messagesPerSec && head;
  };
  const last = await until('the spool is drained', isDrained, DRAIN_MS_MAX);
  const drainedPerSec = (last.position - first.position) / ((last.atMs - first.atMs) / 1_000);
  return { drainMs: last.atMs - backAtMs, drainedPerSec };
}

/** Where the archive stands, and when that was seen. */
interface Head {
  readonly position: number;
  readonly atMs: number;
}

async function headOf({ database }: Scene): Promise<Head> {
  const { head } = await database.selectFrom('leases').select('head').executeTakeFirstOrThrow();
  return { position: head, atMs: performance.now() };
}

/** `bytes` for people. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}
