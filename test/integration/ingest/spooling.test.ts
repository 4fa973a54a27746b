// The archiver while its database is away: what it hears goes to disk. The publishers' windows are
// tiny where it matters, so that what is not lost afterwards can only have come from the spool.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Archiver } from '#ingest/mod.ts';
import { keptLog, type Scene } from '#test/support/archiving.ts';
import { type RunningCommand, startBackcast } from '#test/support/cli.ts';
import { type FragileScene, setFragileScene } from '#test/support/fragile-server.ts';
import { until } from '#test/support/until.ts';

const MEBIBYTE = 1_048_576;
/** Some milliseconds of what these tests publish. */
const TINY_WINDOW = { windowPackets: 1_024, windowBytes: MEBIBYTE, messageBytesMax: 8_192 };
const BURST = 200;
const BURST_MS = 10;

/** More than any of these tests fills, unless it says otherwise. */
function spoolIn({ homeDir }: FragileScene) {
  return { path: join(homeDir, 'spool'), bytesMax: 1_024 * MEBIBYTE };
}

test('the database away, the archiver killed, 20,000 messages a second: none is lost', async () => {
  await using fragile = await setFragileScene();
  const { scene, homeDir } = fragile;
  const config = {
    home: homeDir,
    databaseUrl: scene.databaseUrl,
    channels: [{ name: scene.channel, ...scene.address }],
    metrics: { port: 0 },
  };
  const configFile = join(homeDir, 'backcast.yaml');
  await writeFile(configFile, JSON.stringify(config));
  const { archiver, metricsUrl } = await startArchiver(configFile, scene);
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await publishPaced(publisher, 20_000);
  await fragile.crash();
  await publishPaced(publisher, 180_000);
  await until('all is spooled', async () => (await spooledPosition(metricsUrl)) === 200_000);
  archiver.kill('SIGKILL');
  await once(archiver, 'close');
  await fragile.restart();
  const next = await startArchiver(configFile, scene);
  await publishPaced(publisher, 20_000);
  await scene.accounted(220_000);
  next.archiver.kill('SIGTERM');
  await once(next.archiver, 'close');
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [220_000, 0]);
});

test('a stop without the database spools what waits, and the next start archives it', async () => {
  await using fragile = await setFragileScene();
  const { scene } = fragile;
  const spool = spoolIn(fragile);
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await using first = await scene.startArchiver({ spool });
  await publishPaced(publisher, 2_000);
  await fragile.crash();
  await publishPaced(publisher, 4_000);
  await publisher[Symbol.asyncDispose]();
  await until('all is heard', async () => countersOf(first).receivedPosition === 6_000);
  await first.stop();
  await fragile.restart();
  await using second = await scene.startArchiver({ spool });
  await scene.accounted(6_000);
  await until('direct again', async () => !countersOf(second).spooling);
  await second.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [6_000, 0]);
});

test('beyond the spool, messages are declared lost at once, and the archive agrees', async () => {
  await using fragile = await setFragileScene();
  const { scene } = fragile;
  const log = keptLog();
  const spool = { ...spoolIn(fragile), bytesMax: 64 * MEBIBYTE };
  await using archiver = await scene.startArchiver({ spool, log });
  await using publisher = await scene.openPublisher({ lingerMs: 100 });
  await publishPaced(publisher, 100, 4_000);
  await fragile.crash();
  let published = 100;
  while (countersOf(archiver).spoolFullMessages === 0) {
    await publishPaced(publisher, BURST, 4_000);
    published += BURST;
  }
  const fullAtMs = performance.now();
  await until('it is declared', async () => log.messages.includes('messages lost'));
  assert.ok(performance.now() - fullAtMs < 1_000);
  await publishPaced(publisher, 1_000, 4_000);
  published += 1_000;
  await until('all is spooled', async () => {
    const { receivedPosition, spooledPosition, spoolFullMessages } = countersOf(archiver);
    return (
      receivedPosition + spoolFullMessages === published && spooledPosition === receivedPosition
    );
  });
  await fragile.restart();
  await publishPaced(publisher, 1_000, 4_000);
  await scene.accounted(published + 1_000);
  await archiver.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.equal(storedCount + lostCount, published + 1_000);
  assert.equal(lostCount, countersOf(archiver).spoolFullMessages);
  const causes = await scene.database.selectFrom('losses').select('cause').distinct().execute();
  assert.deepEqual(causes, [{ cause: 'spool_full' }]);
});

test('an archiver whose spool cannot be used says so and records all the same', async () => {
  await using fragile = await setFragileScene();
  const { scene, homeDir } = fragile;
  const spool = spoolIn(fragile);
  await writeFile(join(homeDir, 'spool'), 'a file where the folder should be');
  const log = keptLog();
  await using archiver = await scene.startArchiver({ spool, log });
  await using publisher = await scene.openPublisher({ lingerMs: 100 });
  await publishPaced(publisher, 1_000);
  await fragile.crash();
  await publishPaced(publisher, 4_000);
  await fragile.restart();
  await scene.accounted(5_000);
  await until('it is told', async () => countersOf(archiver).spoolUnusable);
  await archiver.stop();
  assert.equal((await scene.audited()).storedCount, 5_000);
  assert.equal(log.messages.filter((message) => message.includes('the spool')).length, 1);
});

/** 20,000 messages a second. */
async function publishPaced(
  publisher: ChannelPublisher,
  count: number,
  payloadBytes = 100,
): Promise<void> {
  const payload = Buffer.alloc(payloadBytes, 'x');
  const startedAtMs = performance.now();
  for (let sent = 0; sent < count; sent += BURST) {
    for (let index = 0; index < Math.min(BURST, count - sent); index += 1) {
      await publisher.publish(payload);
    }
    const dueAtMs = startedAtMs + ((sent + BURST) / BURST) * BURST_MS;
    await delay(Math.max(0, dueAtMs - performance.now()));
  }
}

/** The numbers of the channel; none are told in the first half second. */
function countersOf(archiver: Archiver) {
  const { orders } = archiver.counters;
  return {
    receivedPosition: orders?.receivedPosition ?? 0,
    spooledPosition: orders?.spooledPosition ?? 0,
    spoolFullMessages: orders?.spoolFullMessages ?? 0,
    spoolUnusable: orders?.spoolUnusable ?? false,
    spooling: orders?.spooling ?? true,
  };
}

/** Starts `backcast archive` and waits until it records. */
async function startArchiver(
  configFile: string,
  scene: Scene,
): Promise<{ readonly archiver: RunningCommand; readonly metricsUrl: string }> {
  const archiver = startBackcast(['archive', '--config', configFile]);
  const said: string[] = [];
  let metricsUrl: string | undefined;
  let isRecording = false;
  for await (const line of createInterface(archiver.stderr)) {
    said.push(line);
    metricsUrl ??= /"url":"([^"]+)"/.exec(line)?.[1];
    isRecording ||= line.includes('"recording"') && line.includes(scene.channel);
    if (metricsUrl === undefined || !isRecording) continue;
    archiver.stderr.resume();
    return { archiver, metricsUrl };
  }
  throw new Error(`the archiver did not start: ${said.join('\n')}`);
}

async function spooledPosition(metricsUrl: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  return Number(/^backcast_archiver_spooled_position\{[^}]*\} (\d+)/m.exec(text)?.[1]);
}
