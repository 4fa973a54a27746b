// A short life of an archiver with everything in it: two sessions, packets lost and repaired, a
// range that nobody holds any more, a database that goes away and comes back, a spool that fills
// and drains, leases taken, renewed and given back, an orderly stop. It may be killed at one point
// of it (crash-hooks.ts); then the next archiver takes over and the same must come out.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ChannelPublisher } from '#client/mod.ts';
import { type ArchiverProcess, startArchiverProcess } from './watched-archiver.ts';
import { type Scene, setScene } from './archiving.ts';
import { type Gate, startDatabaseGate } from './gate.ts';
import type { Restart } from './figures.ts';
import { createTestFolder } from './folder.ts';
import { judge, type Judgement, publishedBy } from './judgement.ts';
import { publishLabelled } from './labelled-messages.ts';
import { until } from './until.ts';

/** Where to kill the archiver. */
export interface CrashPoint {
  /** `main`, or `shard` for the thread that records. */
  readonly thread: string;
  /** What it is about to do, or has just done. */
  readonly kind: string;
  /** The how manieth of its kind in its thread, from 1. */
  readonly ordinal: number;
  readonly side: 'before' | 'after';
}

/** How a run ended. */
export interface CrashRun extends Judgement {
  /** Whether the point was reached, and the archiver killed there. */
  readonly isKilled: boolean;
  /** How the next archiver did; undefined without a kill. */
  readonly restart: Restart | undefined;
}

const HOOKS = pathToFileURL(fileURLToPath(new URL('crash-hooks.ts', import.meta.url))).href;
const STEP_MS_MAX = 30_000;
/** More packets than the small window holds: its first messages are lost to who comes late. */
const EARLY_MESSAGES = 1_500;
const EARLY_BYTES = 1_200;
const SMALL_WINDOW = { windowPackets: 1_024, windowBytes: 2 * 1_048_576, messageBytesMax: 8_192 };
const LATER_BYTES = 150;
/** Messages of each session in the steps of the scenario. */
const STEPS = [100, 200, 60] as const;
/** Lets a batch have many messages, so that the scenario has few points that are alike. */
const CONFIG = {
  archiver: { name: 'archiver', shards: 1, batchAgeMs: 100, spool: { bytesMax: 67_108_864 } },
  receiver: { repairTimeoutMs: 20_000 },
  faults: 'receive-loss=0.02,seed=11',
};

/** Every point of an undisturbed run, in order, numbered within thread and kind. */
export async function findCrashPoints(): Promise<readonly CrashPoint[]> {
  await using folder = await createTestFolder();
  const trace = join(folder.path, 'trace');
  const { isKilled } = await runScenario({ CRASH_TRACE: trace });
  assert.ok(!isKilled);
  const counts = new Map<string, number>();
  const points: CrashPoint[] = [];
  for (const line of (await readFile(trace, 'utf8')).trimEnd().split('\n')) {
    const [thread = '', kind = '', sides] = line.split('\t');
    const ordinal = (counts.get(`${thread} ${kind}`) ?? 0) + 1;
    counts.set(`${thread} ${kind}`, ordinal);
    points.push({ thread, kind, ordinal, side: 'before' });
    if (sides === 'both') points.push({ thread, kind, ordinal, side: 'after' });
  }
  return points;
}

/** Runs the scenario and kills the archiver at `point`, if that comes up. */
export async function crashAt(point: CrashPoint): Promise<CrashRun> {
  return await runScenario({ CRASH_AT: JSON.stringify(point) });
}

interface Stage {
  readonly scene: Scene;
  readonly gate: Gate;
  readonly publishers: readonly ChannelPublisher[];
  readonly archiver: ArchiverProcess;
}

async function runScenario(env: Readonly<Record<string, string>>): Promise<CrashRun> {
  await using scene = await setScene();
  await using gate = await startDatabaseGate(scene.databaseUrl);
  await using folder = await createTestFolder();
  await using late = await scene.openPublisher({ ...SMALL_WINDOW, lingerMs: 300 });
  await using steady = await scene.openPublisher({ lingerMs: 300 });
  await publish([late], EARLY_MESSAGES, EARLY_BYTES);
  const channels = [{ name: scene.channel, ...scene.address }];
  const settings = {
    homeDir: folder.path,
    databaseUrl: gate.url,
    config: { ...CONFIG, channels },
  };
  const hooks = {
    NODE_OPTIONS: `--import=${HOOKS}`,
    CRASH_DATABASE_PORT: new URL(gate.url).port,
    ...env,
  };
  await using archiver = await startArchiverProcess({ ...settings, env: hooks });
  const isKilled = !(await live({ scene, gate, archiver, publishers: [late, steady] }));
  let restart: Restart | undefined;
  if (isKilled) {
    await using next = await startArchiverProcess(settings);
    assert.ok(await next.records(scene.channel), next.said.join('\n'));
    const recordsMs = performance.now() - next.startedAtMs;
    await scene.accounted(late.lastSequence + steady.lastSequence);
    restart = { recordsMs, caughtUpMs: performance.now() - next.startedAtMs };
    await publish([late, steady], 1, LATER_BYTES);
    await scene.accounted(late.lastSequence + steady.lastSequence);
    assert.equal(await next.stop(), 0, next.said.join('\n'));
  }
  const judgement = await judge(scene, [publishedBy(late, EARLY_MESSAGES), publishedBy(steady)]);
  return { ...judgement, isKilled, restart };
}

/** The life of one archiver. Says whether it lived to its end; all is published either way. */
async function live({ scene, gate, archiver, publishers }: Stage): Promise<boolean> {
  const [early, away, last] = STEPS;
  const isUpTo = async (metric: string): Promise<boolean> => {
    const published = publishers.reduce((sum, { lastSequence }) => sum + lastSequence, 0);
    const reached = (await archiver.metric(metric)) ?? 0;
    return reached + ((await archiver.metric(LOST)) ?? 0) === published;
  };
  const settled = (what: string, isSo: () => Promise<boolean>): Promise<unknown> =>
    until(what, async () => archiver.end !== undefined || (await isSo()), STEP_MS_MAX);
  const archived = (): Promise<unknown> =>
    settled('all is archived', () => isUpTo('backcast_archiver_archived_position'));
  await archiver.records(scene.channel);
  await publish(publishers, early, LATER_BYTES);
  await archived();
  gate.shut();
  await publish(publishers, away, LATER_BYTES);
  await settled('all is spooled', async () => {
    const isSpooling = (await archiver.metric('backcast_archiver_spooling')) === 1;
    return isSpooling && (await isUpTo('backcast_archiver_spooled_position'));
  });
  gate.open();
  await archived();
  await publish(publishers, last, LATER_BYTES);
  await archived();
  await settled('it is direct again', async () => {
    return (await archiver.metric('backcast_archiver_spooling')) === 0;
  });
  const end = await archiver.stop();
  if (end === 'SIGKILL') return false;
  assert.equal(end, 0, archiver.said.join('\n'));
  return true;
}

const LOST = 'backcast_receiver_lost_messages_total';

async function publish(
  publishers: readonly ChannelPublisher[],
  count: number,
  payloadBytes: number,
): Promise<void> {
  for (let index = 1; index <= count; index += 1) {
    for (const publisher of publishers) await publishLabelled(publisher, payloadBytes);
    if (index % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
