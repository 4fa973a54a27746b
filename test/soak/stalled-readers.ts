// A thousand readers over HTTP that ask for history and take nothing of it, beside an archiver at
// work on the same database: they cost it nothing, and the API a bounded amount of memory. What
// messages wait until they are archived is compared within the run, since hosts differ; the machine
// must have nothing else to do:
//
//   node test/soak/stalled-readers.ts

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from 'kysely';
import { formatInstant, type SessionId } from '#base/mod.ts';
import { startApiProcess } from '#test/support/api-process.ts';
import { setScene, type Scene } from '#test/support/archiving.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { stallReaders } from '#test/support/stalled-readers.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';

const READERS = 1_000;
const SEGMENTS = 96;
const MESSAGES_PER_SEC = 5_000;
/** Phases of this many messages, without the readers, with them, and without. */
const PHASE_MESSAGES = 15_000;
const MEBIBYTE = 1_048_576;
/** Beside the process itself and what it shares: what a reader may hold. */
const READER_BYTES_MAX = MEBIBYTE;
/** Hundredths of a second of processor time, between two looks at it. */
const IDLE_TICKS = 2;
const IDLE_LOOK_MS = 200;
/** All of them are let in, and none is cut off before the end. */
const LIMITS = { readersMax: READERS, readersPerCallerMax: READERS, stallMsMax: 300_000 };
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

test('a thousand stalled readers leave the archiver alone, and cost bounded memory', async (t) => {
  await using resources = new AsyncDisposableStack();
  const scene = resources.use(await setScene());
  await fillChannel(scene.databaseUrl, { name: 'past', deliveries: history() });
  const { url, pid } = resources.use(await startApiProcess(scene.databaseUrl, LIMITS));
  const bytesAtRest = residentBytes(pid, 'VmRSS');
  const archiver = await scene.startArchiver();
  resources.defer(() => archiver.stop());
  const publisher = resources.use(await scene.openPublisher());
  await using traffic = startTraffic([publisher], {
    messagesPerSec: MESSAGES_PER_SEC,
    payloadBytes: 140,
  });
  const phase = async (): Promise<Waits> => {
    const fromMs = Date.now();
    const end = publisher.lastSequence + PHASE_MESSAGES;
    await until('the phase is over', () => publisher.lastSequence >= end, 60_000);
    const toMs = Date.now();
    await scene.accounted(publisher.lastSequence);
    return waitsOf(scene, fromMs, toMs);
  };
  await phase();
  const before = await phase();
  const paths = Array.from({ length: READERS }, (_, index) => {
    return `/v1/channels/past/messages?after=${(index % SEGMENTS) * 64}`;
  });
  const stalled = await stallReaders(url, paths);
  resources.defer(() => stalled[Symbol.dispose]());
  await until('all are served', async () => (await readersOf(url)) === READERS, 60_000);
  await untilIdle(pid);
  const meanwhile = await phase();
  const bytesMost = residentBytes(pid, 'VmHWM');
  assert.equal(await readersOf(url), READERS, 'they were there all the time');
  stalled[Symbol.dispose]();
  const after = await phase();
  t.diagnostic(JSON.stringify({ before, meanwhile, after, bytesAtRest, bytesMost }));
  await traffic.stop();
  const quietMs = Math.max(before.p50Ms, after.p50Ms);
  assert.ok(meanwhile.p50Ms <= 1.5 * quietMs, `${meanwhile.p50Ms} ms, ${quietMs} ms without them`);
  const readerBytes = (bytesMost - bytesAtRest - 64 * MEBIBYTE) / READERS;
  assert.ok(readerBytes <= READER_BYTES_MAX, `${readerBytes} bytes a reader`);
});
