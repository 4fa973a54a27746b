// Two archivers on one channel under load, and the one that writes is killed, frozen, cut off from
// the database or stopped, again and again, drawn by chance:
//
//   node test/soak/two-archivers.ts [--rounds 50] [--seed 1]

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { randomBelow, seededRandom } from '#base/mod.ts';
import { type ArchiverProcess, startArchiverProcess } from '#test/support/archiver-process.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { type SeverableRelay, startSeverableRelay } from '#test/support/severable-relay.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';
import { soakOptions } from '#test/support/soak-options.ts';

const options = soakOptions('Harms the one that writes of two archivers, again and again.', {
  rounds: [50, 'how often something happens to the one that writes'],
  seed: [1, 'draws what it is'],
});
const KINDS = ['kill', 'freeze', 'cut', 'stop'] as const;
const TAKEOVER_MS_MAX = 15_000;
const FROZEN_MS_MAX = 15_000;
const LOAD = { messagesPerSec: 2_000, payloadBytes: 120 };
const TINY_WINDOW = { windowPackets: 512, windowBytes: 1_048_576, messageBytesMax: 8_192 };

/** One of the two, in whichever life, with its own way to the database. */
class Seat {
  readonly name: string;
  readonly relay: SeverableRelay;
  readonly #scene: Scene;
  readonly #home: string;
  process!: ArchiverProcess;

  constructor(scene: Scene, home: string, name: string, relay: SeverableRelay) {
    this.#scene = scene;
    this.#home = home;
    this.name = name;
    this.relay = relay;
  }

  async start(): Promise<void> {
    const { name, relay } = this;
    const options = { scene: this.#scene, home: this.#home, databaseUrl: relay.url };
    this.process = await startArchiverProcess({ ...options, name });
  }
}

async function leaderOf(scene: Scene): Promise<string | undefined> {
  const lease = await scene.database
    .selectFrom('leases')
    .select('holder')
    .executeTakeFirstOrThrow();
  return lease.holder ?? undefined;
}

test('one of two archivers, whatever happens to the other', async (context) => {
  await using resources = new AsyncDisposableStack();
  const random = seededRandom(options.seed);
  const scene = resources.use(await setScene());
  const { path: home } = resources.use(await createTestFolder());
  const seats: Seat[] = [];
  for (const name of ['first', 'second']) {
    const relay = resources.use(await startSeverableRelay(scene.databaseUrl));
    const seat = new Seat(scene, home, name, relay);
    await seat.start();
    resources.defer(() => seat.process.kill());
    seats.push(seat);
  }
  const publisher = resources.use(await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 500 }));
  const traffic = resources.use(startTraffic([publisher], LOAD));
  for (let round = 1; round <= options.rounds; round += 1) {
    const kind = KINDS[randomBelow(random, KINDS.length)] ?? 'kill';
    await scene.accounted(traffic.publishedCount + randomBelow(random, 2_000));
    const holder = await until('somebody writes', () => leaderOf(scene), TAKEOVER_MS_MAX);
    const leader = seats.find(({ name }) => name === holder);
    const other = seats.find(({ name }) => name !== holder);
    assert.ok(leader !== undefined && other !== undefined);
    const startedMs = performance.now();
    const mend = await harm(kind, leader);
    const taken = async (): Promise<boolean> => (await leaderOf(scene)) === other.name;
    await until('the other writes', taken, TAKEOVER_MS_MAX);
    const tookMs = Math.round(performance.now() - startedMs);
    await scene.accounted(traffic.publishedCount + 200);
    if (kind === 'freeze') await delay(randomBelow(random, FROZEN_MS_MAX));
    await mend();
    context.diagnostic(`round ${round}: ${kind} ${leader.name}, taken over after ${tookMs} ms`);
  }
  await scene.accounted(traffic.publishedCount + 1_000);
  await traffic.stop();
  await scene.accounted(traffic.publishedCount);
  const { storedCount, lostCount } = await scene.audited();
  context.diagnostic(`${traffic.publishedCount} messages, ${lostCount} lost`);
  assert.deepEqual([storedCount, lostCount], [traffic.publishedCount, 0]);
});

/** Does it, and gives the way back. */
async function harm(kind: (typeof KINDS)[number], seat: Seat): Promise<() => Promise<void>> {
  switch (kind) {
    case 'kill':
      await seat.process.kill();
      return () => seat.start();
    case 'stop':
      assert.equal(await seat.process.stop(), 0);
      return () => seat.start();
    case 'freeze':
      seat.process.signal('SIGSTOP');
      return async () => seat.process.signal('SIGCONT');
    case 'cut':
      seat.relay.sever();
      return async () => seat.relay.mend();
    default:
      return kind satisfies never;
  }
}
