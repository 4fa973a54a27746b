// `backcast export`, killed without a warning at places chosen at random from all there are: every
// call that changes a file, before and after it, and every answer of the database. The same command
// is given again, and killed again, until it is done; what is in the folder must then be what an
// undisturbed export gives. At no moment may the folder look whole before it is.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { randomBelow, seededRandom } from '#base/mod.ts';
import { type ExportFormat, verifyExport } from '#replay-api/mod.ts';
import { runBackcast } from '#test/support/cli.ts';
import { settledFiles } from '#test/support/exported-folder.ts';
import { fillChannel } from '#test/support/filled-archive.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { inFull } from '#test/support/thoroughness.ts';
import { tradedChannel } from '#test/support/traded-channel.ts';

const HOOKS = new URL('../../support/crash-hooks.ts', import.meta.url).href;
const SEED = inFull(Date.now() % 1_000_000, 7);
/** Kills in all, over the formats. */
const KILLS = inFull(100, 9);
const FORMATS: readonly ExportFormat[] = ['ndjson', 'parquet', 'csv'];
/** The places of a whole run are spread over several runs; so far apart is the next one at most. */
const STRIDE_MAX = 30;
const NEVER = new AbortController().signal;

interface Surroundings {
  readonly url: string;
  readonly folder: string;
  readonly format: ExportFormat;
}

/** Runs the command; false if it was killed. */
async function run(
  { url, folder, format }: Surroundings,
  hooks: Readonly<Record<string, string>>,
): Promise<boolean> {
  const args = ['export', 'trades', '--out', folder, '--format', format, '--part-messages', '200'];
  const port = new URL(url).port;
  const hooked = { NODE_OPTIONS: `--import=${HOOKS}`, CRASH_DATABASE_PORT: port, ...hooks };
  const { end, stderr } = await runBackcast(args, { env: { DATABASE_URL: url, ...hooked } });
  if (end === 'SIGKILL') return false;
  assert.equal(end, 0, stderr);
  return true;
}

/** The kinds of places of a whole run, each as often as it comes up. */
async function placesOf(surroundings: Surroundings, trace: string): Promise<readonly string[]> {
  assert.ok(await run(surroundings, { CRASH_TRACE: trace }));
  const lines = (await readFile(trace, 'utf8')).trim().split('\n');
  return lines.map((line) => line.split('\t')[1] ?? '');
}

/** Kills the export `kills` times; every time that it gets to its end, begins another one. */
async function killRepeatedly(
  format: ExportFormat,
  kills: number,
  random: () => number,
): Promise<void> {
  await using database = await createTestDatabase();
  await using home = await createTestFolder();
  await fillChannel(database.url, tradedChannel('trades', 5));
  const whole = { url: database.url, format, folder: join(home.path, 'whole') };
  const places = await placesOf(whole, join(home.path, 'trace'));
  const expected = settledFiles(whole.folder);
  let left = kills;
  for (let attempt = 0; left > 0; attempt += 1) {
    const surroundings = { ...whole, folder: join(home.path, `attempt-${attempt}`) };
    while (!(await run(surroundings, left > 0 ? crashAt(places, random) : {}))) {
      left -= 1;
      await assertNotWhole(surroundings.folder, expected);
    }
    assert.deepEqual(settledFiles(surroundings.folder), expected);
    const { problems } = await verifyExport(surroundings.folder, {
      sha256: undefined,
      signal: NEVER,
    });
    assert.deepEqual(problems, []);
  }
}

/** A place among the next ones, counted as the hooks count: within its kind. */
function crashAt(places: readonly string[], random: () => number): Record<string, string> {
  const place = randomBelow(random, places.length);
  const kind = places[place] ?? '';
  const before = places.slice(0, place).filter((other) => other === kind).length;
  const ordinal = 1 + (before % STRIDE_MAX);
  const side = randomBelow(random, 2) === 0 || kind.startsWith('from ') ? 'before' : 'after';
  return { CRASH_AT: JSON.stringify({ thread: 'main', kind, ordinal, side }) };
}

/** Either there is no export to be trusted, or it is whole to the last byte. */
async function assertNotWhole(
  folder: string,
  expected: ReadonlyMap<string, string>,
): Promise<void> {
  try {
    const { problems } = await verifyExport(folder, { sha256: undefined, signal: NEVER });
    if (problems.length > 0)
      return assert.deepEqual(
        problems.map(({ where }) => where),
        ['export-unfinished.json'],
      );
    assert.deepEqual(settledFiles(folder), expected);
  } catch (error) {
    if ((error as { code?: string }).code === undefined) throw error;
    assert.match(String((error as { code?: string }).code), /^BACKCAST_EXPORT_(DAMAGED|FOLDER)$/);
  }
}

test(`an export killed ${KILLS} times comes to the same bytes (seed ${SEED})`, async () => {
  await Promise.all(
    FORMATS.map(async (format, index) => {
      const share = Math.floor((KILLS + FORMATS.length - 1 - index) / FORMATS.length);
      await killRepeatedly(format, share, seededRandom(SEED + index));
    }),
  );
});
