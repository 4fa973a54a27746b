// `backcast export`, interrupted as people and supervisors do: by Ctrl-C, by SIGTERM, and by a
// second signal if they are impatient. What it leaves never looks whole, its exit code says what
// happened, and the same command goes on to the same bytes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ExportFormat, verifyExport } from '#replay-api/mod.ts';
import { type CommandEnd, endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { settledFiles } from '#test/support/exported-folder.ts';
import { fillChannel } from '#test/support/filled-archive.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { createTestDatabase, execute, type TestDatabase } from '#test/support/postgres.ts';
import { tradedChannel } from '#test/support/traded-channel.ts';

/** After so many parts the export is interrupted, of some hundred. */
const PARTS = 7;
const NEVER = new AbortController().signal;

let database: TestDatabase;
let home: TestFolder;
before(async () => {
  database = await createTestDatabase();
  home = await createTestFolder();
  await fillChannel(database.url, tradedChannel('trades', 1));
});
after(async () => {
  await home[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

interface Attempt {
  readonly folder: string;
  readonly format: ExportFormat;
}

/** Many small parts, so that there is something to interrupt. */
function argsOf({ folder, format }: Attempt): string[] {
  return ['export', 'trades', '--out', folder, '--format', format, '--part-messages', '10'];
}

/** Starts the export, and sends `signals` as soon as its folder has some parts. */
async function interrupt(
  attempt: Attempt,
  signals: readonly NodeJS.Signals[],
): Promise<CommandEnd> {
  const { folder } = attempt;
  await mkdir(folder, { recursive: true });
  const countParts = (): number =>
    readdirSync(folder).filter((name) => /^messages-\d+\.[a-z]+$/.test(name)).length;
  const watcher = watch(folder);
  const command = startBackcast(argsOf(attempt), { env: { DATABASE_URL: database.url } });
  watcher.on('change', () => {
    if (countParts() < PARTS) return;
    watcher.close();
    for (const signal of signals) command.kill(signal);
  });
  const [end] = await Promise.all([endOf(command), once(watcher, 'close')]);
  return end;
}

async function assertUnfinished(folder: string): Promise<void> {
  await assert.rejects(verifyExport(folder, { sha256: undefined, signal: NEVER }), {
    code: 'BACKCAST_EXPORT_DAMAGED',
    message: /not finished/,
  });
}

describe('an export that is interrupted', { concurrency: false }, () => {
  for (const { format, signals, codes } of [
    { format: 'ndjson', signals: ['SIGINT'], codes: [130] },
    { format: 'csv', signals: ['SIGTERM'], codes: [143] },
    // Which of the two is heard first is the kernel's choice.
    { format: 'parquet', signals: ['SIGINT', 'SIGTERM'], codes: [130, 143] },
  ] as const) {
    test(`by ${signals.join(' and ')} says so and goes on (${format})`, async () => {
      const whole = { format, folder: join(home.path, `whole-${format}`) };
      const env = { DATABASE_URL: database.url };
      assert.equal((await runBackcast(argsOf(whole), { env })).end, 0);
      const cut = { format, folder: join(home.path, `cut-${format}`) };
      const { end, stdout, stderr } = await interrupt(cut, signals);
      assert.ok(
        codes.some((code) => code === end),
        `${end} ${stderr}`,
      );
      assert.equal(stdout, '');
      if (signals.length === 1)
        assert.equal(stderr, 'interrupted; the same command goes on from here\n');
      await assertUnfinished(cut.folder);
      const finished = await runBackcast(argsOf(cut), { env });
      assert.equal(finished.end, 0, finished.stderr);
      assert.deepEqual(settledFiles(cut.folder), settledFiles(whole.folder));
      const { problems } = await verifyExport(cut.folder, { sha256: undefined, signal: NEVER });
      assert.deepEqual(problems, []);
    });
  }

  test('is noted as aborted, with what it had read', async () => {
    const rows = await execute(
      database.url,
      `SELECT message_count FROM accesses WHERE outcome = 'aborted' ORDER BY started_at`,
    );
    assert.ok(rows.length >= 2, 'all but who ended at once');
    for (const { message_count: count } of rows) assert.ok(Number(count) >= 10 * PARTS);
  });
});
