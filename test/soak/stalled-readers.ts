// A thousand readers over HTTP that ask for history and take nothing of it, beside an archiver at
// work on the same database: they cost it nothing, and the API a bounded amount of memory. How long
// messages wait until they are archived is compared within the run, in short phases with the
// readers and without, two by two and the other way round each time: what a shared machine does
// meanwhile meets both alike, and the median of the pairs does not see it:
//
//   node test/soak/stalled-readers.ts

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import { formatInstant, type SessionId } from '#base/mod.ts';
import { API_LIMITS_DEFAULT } from '#replay-api/mod.ts';
import { startApiProcess } from '#test/support/api-process.ts';
import { setScene, type Scene } from '#test/support/archiving.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { type StalledReaders, stallReaders } from '#test/support/stalled-readers.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';

const READERS = 1_000;
const GROUP = 50;
const SEGMENTS = 96;
const MESSAGES_PER_SEC = 5_000;
/** Two seconds. */
const PHASE_MESSAGES = 10_000;
/** Each a phase with the readers and one without. */
const PAIRS = 7;
/** How much longer or shorter the median wait may be with the readers. */
const RATIO_MAX = 1.1;
const MEBIBYTE = 1_048_576;
/** Beside the process itself and what it shares: what a reader may hold. */
const READER_BYTES_MAX = MEBIBYTE;
/** Hundredths of a second of processor time, between two looks at it. */
const IDLE_TICKS = 2;
const IDLE_LOOK_MS = 200;
/**
 * As many as are let in where nothing else is configured; the others are refused, and stay. None is
 * cut off before the end.
 */
const ADMITTED = API_LIMITS_DEFAULT.readersMax;
const LIMITS = { readersPerCallerMax: ADMITTED, stallMsMax: 300_000 };
const SESSION = '00000000000000aa' as SessionId;

/** Each of a mebibyte. */
function history(): Delivery[] {
  const payload = Buffer.alloc(16_384, 'x');
  return Array.from({ length: SEGMENTS }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(index),
    messages: Array.from({ length: 64 }, (_unused, nth) => ({
      session: SESSION,
      sequence: index * 64 + nth + 1,
      publishedAtUs: instantAt(index),
      payload,
    })),
  }));
}

interface Waits {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** How long messages published in an interval waited until they were archived. */
async function waitsOf({ database, channel }: Scene, fromMs: number, toMs: number): Promise<Waits> {
  const { rows } = await sql<Waits>`
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY wait) AS "p50Ms",
           percentile_cont(0.99) WITHIN GROUP (ORDER BY wait) AS "p99Ms"
    FROM (
      SELECT 1000 * extract(epoch FROM archived_at - published)::float8 AS wait
      FROM segments JOIN channels USING (channel_id), unnest(published_at) AS published
      WHERE name = ${channel} AND published >= ${formatInstant(fromMs * 1000)}
        AND published < ${formatInstant(toMs * 1000)}) AS waits`.execute(database);
  return rows[0];
}

function residentBytes(pid: number, which: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${which}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1_024;
}

/** Until the process has sent what its connections take, and does next to nothing. */
async function untilIdle(pid: number): Promise<void> {
  let ticksBefore = Number.NEGATIVE_INFINITY;
  const isQuiet = async (): Promise<boolean> => {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ').slice(13, 15);
    const ticks = Number(user) + Number(system);
    const isIdle = ticks - ticksBefore <= IDLE_TICKS;
    ticksBefore = ticks;
    if (!isIdle) await wait(IDLE_LOOK_MS);
    return isIdle;
  };
  await until('the API is idle', isQuiet, 60_000);
}

async function readersOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^backcast_api_readers (\d+)/m.exec(text)?.[1]);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];
}

/** What the phases are made of. */
interface Stage {
  readonly scene: Scene;
  readonly api: { readonly url: string; readonly pid: number };
  readonly publisher: { readonly lastSequence: number };
}

async function phase({ scene, publisher }: Stage): Promise<Waits> {
  const fromMs = Date.now();
  const end = publisher.lastSequence + PHASE_MESSAGES;
  await until('the phase is over', () => publisher.lastSequence >= end, 60_000);
  const toMs = Date.now();
  await scene.accounted(publisher.lastSequence);
  return waitsOf(scene, fromMs, toMs);
}

/** They come a few at a time, as the API takes them, and are served what their connections take. */
async function enter({ api: { url, pid } }: Stage): Promise<StalledReaders> {
  const groups: StalledReaders[] = [];
  for (let count = 0; count < READERS; count += GROUP) {
    const paths = Array.from({ length: GROUP }, (_, index) => {
      // Before all of them lies more than their connections take.
      return `/v1/channels/past/messages?after=${((count + index) % (SEGMENTS / 2)) * 64}`;
    });
    groups.push(await stallReaders(url, paths));
    const served = Math.min(count + GROUP, ADMITTED);
    await until('all are served', async () => (await readersOf(url)) === served, 60_000);
  }
  await untilIdle(pid);
  return {
    get openCount() {
      return groups.reduce((sum, { openCount }) => sum + openCount, 0);
    },
    [Symbol.dispose]: () => {
      for (const group of groups) group[Symbol.dispose]();
    },
  };
}

async function leave({ api: { url, pid } }: Stage, stalled: StalledReaders): Promise<void> {
  assert.equal(await readersOf(url), ADMITTED, 'they were there all the time');
  stalled[Symbol.dispose]();
  await until('all are gone', async () => (await readersOf(url)) === 0, 60_000);
  await untilIdle(pid);
}

/** A phase with the readers and one without; those who are there already come first. */
async function pair(
  stage: Stage,
  present: StalledReaders | undefined,
): Promise<{ alone: Waits; beside: Waits; present: StalledReaders | undefined }> {
  if (present === undefined) {
    const alone = await phase(stage);
    const entered = await enter(stage);
    return { alone, beside: await phase(stage), present: entered };
  }
  const beside = await phase(stage);
  await leave(stage, present);
  return { alone: await phase(stage), beside, present: undefined };
}

test('a thousand stalled readers leave the archiver alone, and cost bounded memory', async (t) => {
  await using resources = new AsyncDisposableStack();
  const scene = resources.use(await setScene());
  await fillChannel(scene.databaseUrl, { name: 'past', deliveries: history() });
  const api = resources.use(await startApiProcess(scene.databaseUrl, LIMITS));
  const bytesAtRest = residentBytes(api.pid, 'VmRSS');
  const archiver = await scene.startArchiver();
  resources.defer(() => archiver.stop());
  const publisher = resources.use(await scene.openPublisher());
  const load = { messagesPerSec: MESSAGES_PER_SEC, payloadBytes: 140 };
  await using traffic = startTraffic([publisher], load);
  const stage = { scene, api, publisher };
  await phase(stage);
  const pairs: { readonly alone: Waits; readonly beside: Waits }[] = [];
  let present: StalledReaders | undefined;
  for (let count = 0; count < PAIRS; count += 1) {
    const { alone, beside, ...next } = await pair(stage, present);
    ({ present } = next);
    pairs.push({ alone, beside });
    t.diagnostic(JSON.stringify({ alone, beside }));
  }
  present?.[Symbol.dispose]();
  const bytesMost = residentBytes(api.pid, 'VmHWM');
  await traffic.stop();
  const ratios = pairs.map(({ alone, beside }) => beside.p50Ms / alone.p50Ms);
  const p99s = pairs.map(({ alone, beside }) => beside.p99Ms / alone.p99Ms);
  const [ratio, ratioP99] = [median(ratios), median(p99s)];
  t.diagnostic(JSON.stringify({ ratio, ratioP99, ratios, bytesAtRest, bytesMost }));
  assert.ok(ratio <= RATIO_MAX, `with them messages wait ${ratio} times as long as without`);
  const readerBytes = (bytesMost - bytesAtRest - 64 * MEBIBYTE) / READERS;
  assert.ok(readerBytes <= READER_BYTES_MAX, `${readerBytes} bytes a reader`);
});
