// The archiver is killed in the middle of traffic, again and again. Afterwards everything is stored
// or declared, nothing twice, and what the publisher still held is not lost.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { sql } from 'kysely';
import type { ChannelPublisher } from '#client/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { type RunningCommand, startBackcast } from '#test/support/cli.ts';

const KILLS = 10;
const MESSAGES = 30_000;

test(`an archiver killed ${KILLS} times amid traffic loses and doubles nothing`, async () => {
  await using scene = await setScene();
  await using home = await configuredHome(scene);
  await using publisher = await scene.openPublisher({ lingerMs: 500, rateBytesPerSec: 4_000_000 });
  const traffic = publishSteadily(publisher, MESSAGES);
  let archiver = await startArchiver(home.folder, scene);
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await scene.accounted(Math.floor((MESSAGES * kill) / (KILLS + 2)));
    archiver.kill('SIGKILL');
    await once(archiver, 'close');
    archiver = await startArchiver(home.folder, scene);
  }
  await traffic;
  await scene.accounted(MESSAGES);
  archiver.kill('SIGTERM');
  const [exitCode] = (await once(archiver, 'close')) as [number | null];
  assert.equal(exitCode, 0);
  const verdict = await scene.audited();
  assert.equal(verdict.storedCount, MESSAGES);
  assert.equal(verdict.lostCount, 0);
  const order = await sql<{ payload: Buffer }>`
    SELECT payload FROM messages ORDER BY position`.execute(scene.database);
  assert.ok(order.rows.every(({ payload }, index) => payload.readUInt32BE(0) === index + 1));
});

async function publishSteadily(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    const payload = Buffer.alloc(300, number & 0xff);
    payload.writeUInt32BE(number, 0);
    await publisher.publish(payload);
    if (number % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Home extends AsyncDisposable {
  readonly folder: string;
}

/** A home folder whose configuration names the scene's channel and database. */
async function configuredHome(scene: Scene): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'backcast-kill-'));
  const channels = [{ name: scene.channel, ...scene.address }];
  const config = { home: folder, databaseUrl: scene.databaseUrl, channels };
  await writeFile(join(folder, 'backcast.yaml'), JSON.stringify(config));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

/** Starts `backcast archive` and waits until it records. */
async function startArchiver(folder: string, scene: Scene): Promise<RunningCommand> {
  const archiver = startBackcast(['archive', '--config', join(folder, 'backcast.yaml')]);
  const said: string[] = [];
  for await (const line of createInterface(archiver.stderr)) {
    said.push(line);
    if (line.includes('"recording"') && line.includes(scene.channel)) {
      archiver.stderr.resume();
      return archiver;
    }
  }
  throw new Error(`the archiver did not start: ${said.join('\n')}`);
}
