// The archiver and its spool when more goes wrong than the database being away: it is killed while
// it archives what it spooled, its disk is spoilt while it is not there, and the database hangs
// rather than being away.

import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChannelPublisher } from '#client/mod.ts';
import { type ArchiverProcess, startArchiverProcess } from '#test/support/archiver-process.ts';
import { type FragileScene, setFragileScene } from '#test/support/fragile-server.ts';
import { until } from '#test/support/until.ts';

const PAYLOAD = Buffer.alloc(200, 'x');
/** What is not lost afterwards can only have come from the spool. */
const TINY_WINDOW = {
  windowPackets: 1_024,
  windowBytes: 1_048_576,
  messageBytesMax: 8_192,
  rateBytesPerSec: 4_000_000,
};
const SPOOLED_MS_MAX = 30_000;
const RESIDENT_BYTES_MAX = 512 * 1_048_576;

test('an archiver killed again and again while it archives its spool loses nothing', async () => {
  await using fragile = await setFragileScene();
  const { scene } = fragile;
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await using first = await startArchiver(fragile);
  await publishMany(publisher, 1_000);
  await fragile.crash();
  await publishMany(publisher, 60_000);
  await until(
    'all is spooled',
    async () => {
      return (await first.metric('backcast_archiver_spooled_position')) === 61_000;
    },
    SPOOLED_MS_MAX,
  );
  await first.kill();
  await fragile.restart();
  for (const count of [2_000, 20_000, 40_000]) {
    await using archiver = await startArchiver(fragile);
    await scene.accounted(count);
    await archiver.kill();
  }
  await using last = await startArchiver(fragile);
  await scene.accounted(61_000);
  await last.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [61_000, 0]);
});

test('damage on the disk of an archiver that is away is declared to the message', async () => {
  await using fragile = await setFragileScene();
  const { scene, homeDir } = fragile;
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await using first = await startArchiver(fragile);
  await publishMany(publisher, 1_000);
  await fragile.crash();
  await publishMany(publisher, 30_000);
  await until(
    'all is spooled',
    async () => {
      return (await first.metric('backcast_archiver_spooled_position')) === 31_000;
    },
    SPOOLED_MS_MAX,
  );
  await first.kill();
  await spoil(join(homeDir, 'one', 'spool', scene.channel));
  await fragile.restart();
  await using second = await startArchiver(fragile);
  await publishMany(publisher, 1_000);
  await scene.accounted(32_000);
  await second.said('messages lost', 'corrupt');
  await second.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.equal(storedCount + lostCount, 32_000);
  assert.ok(lostCount > 0 && lostCount < 200, `${lostCount} messages lost to one bit`);
  const causes = await scene.database.selectFrom('losses').select('cause').distinct().execute();
  assert.deepEqual(causes, [{ cause: 'corrupt' }]);
});

test('a database that hangs under load is spooled over, in bounded memory', async () => {
  await using fragile = await setFragileScene();
  const { scene } = fragile;
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 100 });
  await using archiver = await startArchiver(fragile);
  await publishMany(publisher, 1_000);
  {
    await using _frozen = await fragile.freeze();
    await publishMany(publisher, 80_000);
    await until(
      'all is spooled',
      async () => {
        return (await archiver.metric('backcast_archiver_spooled_position')) === 81_000;
      },
      SPOOLED_MS_MAX,
    );
    const bytes = await residentBytes(archiver);
    assert.ok(bytes > 0 && bytes < RESIDENT_BYTES_MAX, `${bytes} bytes resident`);
  }
  await publishMany(publisher, 1_000);
  await scene.accounted(82_000);
  await archiver.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [82_000, 0]);
});

function startArchiver({ scene, homeDir }: FragileScene): Promise<ArchiverProcess> {
  return startArchiverProcess({ scene, name: 'one', home: homeDir });
}

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) {
    await publisher.publish(PAYLOAD);
    if (index % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function residentBytes({ lines }: ArchiverProcess): Promise<number> {
  const [, pid] = /"pid":(\d+)/.exec(lines[0] ?? '') ?? [];
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

/** Turns a bit in the middle of what the first file of a spool holds. */
async function spoil(folder: string): Promise<void> {
  const [name = ''] = (await readdir(folder)).filter((it) => it.endsWith('.spool')).toSorted();
  const path = join(folder, name);
  const bytes = await readFile(path);
  // In a payload: between entries are a few bytes that nobody reads.
  const at = bytes.lastIndexOf('x', bytes.lastIndexOf('x') >> 1);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  await writeFile(path, bytes);
}
