// Rounds of `kill -9` under load. In each the archiver is killed at a moment drawn by chance: while
// all is well, while its database is away, while it drains its spool, or while it starts. The seed
// fixes what is drawn, not the speed of the machine.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type Random, randomBelow, seededRandom } from '#base/mod.ts';
import { type ArchiverProcess, startArchiverProcess } from './watched-archiver.ts';
import { type Scene, setScene } from './archiving.ts';
import { type Gate, startDatabaseGate } from './gate.ts';
import type { Restart } from './figures.ts';
import { createTestFolder } from './folder.ts';
import { judge, publishedBy } from './judgement.ts';
import { startTraffic } from './steady-traffic.ts';

/** What to do. */
export interface KillRoundsOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly messagesPerSec: number;
  /** Called after each round with a line about it. */
  readonly onRound?: (line: string) => void;
}

/** What came out of rounds that went well. */
export interface KillRounds {
  readonly killCount: number;
  readonly messageCount: number;
  /** How each next archiver did. */
  readonly restarts: readonly Restart[];
}

const PAYLOAD_BYTES = 200;
/** What waits for the database longer than this is on its way to the spool. */
const SPOOLING_AFTER_MS = 1_100;
const MOMENTS = ['well', 'away', 'draining', 'starting'] as const;
type Moment = (typeof MOMENTS)[number];

interface Stage {
  readonly scene: Scene;
  readonly gate: Gate;
  readonly random: Random;
  readonly start: () => Promise<ArchiverProcess>;
}

/** Runs the rounds on a channel of their own. Fails with the round and its seed. */
export async function killRounds(options: KillRoundsOptions): Promise<KillRounds> {
  const { rounds, seed, messagesPerSec, onRound } = options;
  await using scene = await setScene();
  await using gate = await startDatabaseGate(scene.databaseUrl);
  await using folder = await createTestFolder();
  await using first = await scene.openPublisher({ lingerMs: 300 });
  await using second = await scene.openPublisher({ lingerMs: 300 });
  const channels = [{ name: scene.channel, ...scene.address }];
  const archiver = { name: 'archiver', shards: 1 };
  const config = { archiver, channels, receiver: { repairTimeoutMs: 20_000 } };
  const start = (): Promise<ArchiverProcess> =>
    startArchiverProcess({ homeDir: folder.path, databaseUrl: gate.url, config });
  const stage: Stage = { scene, gate, start, random: seededRandom(seed) };
  const payloadBytes = PAYLOAD_BYTES;
  await using traffic = startTraffic([first, second], { messagesPerSec, payloadBytes });
  await using running = new Running(await start());
  const restarts: Restart[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const moment = MOMENTS[randomBelow(stage.random, MOMENTS.length)] ?? 'well';
    try {
      await killAt(moment, stage, running);
      const dueCount = traffic.publishedCount;
      running.archiver = await start();
      const { startedAtMs } = running.archiver;
      await running.archiver.records(scene.channel);
      const recordsMs = performance.now() - startedAtMs;
      await scene.accounted(dueCount);
      const caughtUpMs = performance.now() - startedAtMs;
      restarts.push({ recordsMs, caughtUpMs });
      const { lostCount } = await scene.audited();
      assert.equal(lostCount, 0);
      const told = [recordsMs, caughtUpMs].map((ms) => `${Math.round(ms)} ms`);
      onRound?.(`${round} killed while ${moment}: records and caught up after ${told.join(', ')}`);
    } catch (cause) {
      const said = running.archiver.said.join('\n');
      throw new Error(`round ${round} (${moment}) of seed ${seed}\n${said}`, { cause });
    }
  }
  await traffic.stop();
  await scene.accounted(traffic.publishedCount);
  assert.equal(await running.archiver.stop(), 0);
  const { storedCount } = await judge(scene, [publishedBy(first), publishedBy(second)]);
  return { killCount: running.killCount, messageCount: storedCount, restarts };
}

/** The archiver of the moment. */
class Running implements AsyncDisposable {
  archiver: ArchiverProcess;
  killCount = 0;

  constructor(archiver: ArchiverProcess) {
    this.archiver = archiver;
  }

  async kill(): Promise<void> {
    this.killCount += 1;
    await this.archiver.kill();
    assert.equal(this.archiver.end, 'SIGKILL', this.archiver.said.join('\n'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.archiver[Symbol.asyncDispose]();
  }
}

/** Brings the moment about, lets some of it pass, and kills. The database is there afterwards. */
async function killAt(moment: Moment, stage: Stage, running: Running): Promise<void> {
  const { gate, random, scene, start } = stage;
  const someOf = (ms: number): Promise<void> => delay(randomBelow(random, ms));
  assert.ok(await running.archiver.records(scene.channel), running.archiver.said.join('\n'));
  switch (moment) {
    case 'well':
      await someOf(1_000);
      break;
    case 'away':
      gate.shut();
      await delay(SPOOLING_AFTER_MS);
      await someOf(2_500);
      break;
    case 'draining':
      gate.shut();
      await delay(2 * SPOOLING_AFTER_MS);
      gate.open();
      await someOf(2_500);
      break;
    case 'starting':
      await running.kill();
      running.archiver = await start();
      await someOf(1_000);
      break;
    default:
      moment satisfies never;
  }
  await running.kill();
  gate.open();
}
