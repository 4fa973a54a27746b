// What verifying finds: any change to an exported folder, and sequences that nothing accounts for.
// And what it makes of what retention deleted before or while the export ran.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadRetentionPlan, runRetention } from '#archive/mod.ts';
import { randomBelow, seededRandom } from '#base/mod.ts';
import {
  type ExportManifest,
  type ExportPlan,
  runExport,
  toExportRange,
  verifyExport,
} from '#replay-api/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  makePastPartitions,
} from '#test/support/aged-archive.ts';
import { filesOf, messagesIn } from '#test/support/exported-folder.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';
import { inFull } from '#test/support/thoroughness.ts';
import { tradedChannel } from '#test/support/traded-channel.ts';

const NEVER = new AbortController().signal;
const CHANGES = inFull(10_000, 300);
const SEED = inFull(Date.now() % 1_000_000, 3);

let api: TestApi;
let folder: TestFolder;
before(async () => {
  api = await openTestApi();
  folder = await createTestFolder();
  await makePastPartitions(api.opened);
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function pathOf(name: string): string {
  return join(folder.path, name);
}

function planOf(channel: string): ExportPlan {
  return { ...toExportRange(channel, {}), format: 'ndjson', partMessages: 300 };
}

async function exportAll(channel: string): Promise<ExportManifest> {
  const [plan, path] = [planOf(channel), pathOf(channel)];
  return await runExport({ opened: api.opened, plan, path, signal: NEVER });
}

/** What is wrong with the folder; the code of an error that says the same. */
async function findings(name: string, sha256?: string): Promise<unknown> {
  try {
    return (await verifyExport(pathOf(name), { sha256, signal: NEVER })).problems;
  } catch (error) {
    return (error as { readonly code?: unknown }).code ?? assert.fail(String(error));
  }
}

/** Changes the file with `bytes` somehow, and always; says how. */
function spoil(path: string, name: string, bytes: Buffer, random: () => number): string {
  const at = randomBelow(random, bytes.length);
  const kinds: readonly [string, () => void][] = [
    [
      `bit of byte ${at} flipped`,
      () => {
        bytes[at] ^= 1 << randomBelow(random, 8);
        writeFileSync(join(path, name), bytes);
      },
    ],
    [`byte ${at} taken out`, () => writeFileSync(join(path, name), without(bytes, at))],
    [`cut at ${at}`, () => writeFileSync(join(path, name), bytes.subarray(0, at))],
    ['made longer', () => writeFileSync(join(path, name), Buffer.concat([bytes, bytes]))],
    ['removed', () => rmSync(join(path, name))],
    ['renamed', () => renameSync(join(path, name), join(path, `x${name}`))],
    ['copied', () => writeFileSync(join(path, `x${name}`), bytes)],
  ];
  const [what, change] = kinds[bytes.length === 0 ? 4 : randomBelow(random, kinds.length)];
  change();
  return what;
}

function without(bytes: Buffer, at: number): Buffer {
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
}

test('files that changed places, and files of another export, are found', async () => {
  await api.addChannel(tradedChannel('shuffled', 1));
  await api.addChannel(tradedChannel('strange', 2));
  await exportAll('shuffled');
  await exportAll('strange');
  const path = pathOf('shuffled');
  const [own, others] = [filesOf(path), filesOf(pathOf('strange'))];
  const names = [...own.keys()];
  assert.ok(names.filter((name) => name.startsWith('messages-')).length >= 2);
  const write = (name: string, bytes: Buffer | undefined): void =>
    writeFileSync(join(path, name), bytes ?? Buffer.alloc(0));
  for (const [index, name] of names.entries()) {
    for (const other of names.slice(index + 1)) {
      write(name, own.get(other));
      write(other, own.get(name));
      await assertFound(`${name} and ${other} exchanged`, own.get(name), own.get(other));
      write(other, own.get(other));
    }
    write(name, others.get(name));
    await assertFound(`${name} of another export`, own.get(name), others.get(name));
    write(name, own.get(name));
  }
  assert.deepEqual(await findings('shuffled'), []);
});

test('a folder in the place of a file is found', async () => {
  await api.addChannel(tradedChannel('folders', 1));
  await exportAll('folders');
  const file = join(pathOf('folders'), 'messages-000001.ndjson');
  rmSync(file);
  mkdirSync(file);
  const found = (await findings('folders')) as readonly { readonly where: string }[];
  assert.deepEqual(
    found.map(({ where }) => where),
    ['messages-000001.ndjson'],
  );
});

/** Where the bytes are the same, nothing was changed. */
async function assertFound(
  what: string,
  bytes: Buffer | undefined,
  instead: Buffer | undefined,
): Promise<void> {
  const isSame = (bytes ?? Buffer.alloc(0)).equals(instead ?? Buffer.alloc(0));
  if (!isSame) assert.notDeepEqual(await findings('shuffled'), [], what);
}

test(`any of ${CHANGES} changes is found (seed ${SEED})`, async () => {
  await api.addChannel(tradedChannel('spoilt', 1));
  await exportAll('spoilt');
  const path = pathOf('spoilt');
  const files = filesOf(path);
  const random = seededRandom(SEED);
  for (let change = 0; change < CHANGES; change += 1) {
    const names = [...files.keys()];
    const name = names[randomBelow(random, names.length)];
    const bytes = files.get(name) ?? Buffer.alloc(0);
    const what = spoil(path, name, Buffer.from(bytes), random);
    assert.notDeepEqual(await findings('spoilt'), [], `${name} ${what}`);
    rmSync(join(path, `x${name}`), { force: true });
    writeFileSync(join(path, name), bytes);
  }
  assert.deepEqual(await findings('spoilt'), []);
});

test('a manifest that was made to fit is found by its hash', async () => {
  await api.addChannel(tradedChannel('forged', 1));
  const { sha256 } = await exportAll('forged');
  assert.deepEqual(await findings('forged', sha256.toUpperCase()), []);
  assert.equal(await findings('forged', 'a'.repeat(64)), 'BACKCAST_EXPORT_DAMAGED');
});

test('a manifest of any other shape is refused, whatever hash it names', async () => {
  await api.addChannel(tradedChannel('shaped', 1));
  const manifest = await exportAll('shaped');
  const shapes: readonly object[] = [
    { ...manifest, parts: null },
    { ...manifest, parts: [null] },
    { ...manifest, version: 2 },
    { ...manifest, losses: { ...manifest.losses, file: '../../secret' } },
    { ...manifest, sessions: [{ session: 'x' }] },
    { ...manifest, messages: { count: -1 } },
  ];
  for (const text of ['null\n', '[]\n', '1\n', ...shapes.map(withHash)]) {
    writeFileSync(join(pathOf('shaped'), 'manifest.json'), text);
    assert.equal(await findings('shaped'), 'BACKCAST_EXPORT_DAMAGED', text.slice(0, 80));
  }
});

/** The text of a manifest with the hash that fits. */
function withHash(manifest: object): string {
  const render = (sha256: string): string =>
    `${JSON.stringify({ ...manifest, sha256 }, undefined, 2)}\n`;
  return render(createHash('sha256').update(render('')).digest('hex'));
}

test('a folder that is no export is told as such', async () => {
  assert.equal(await findings('.'), 'BACKCAST_EXPORT_DAMAGED');
  assert.equal(await findings('nowhere'), 'BACKCAST_EXPORT_DAMAGED');
});

test('a loss that the archive forgot leaves sequences that nothing accounts for', async () => {
  const deliveries = [
    agedSegment(7, 1, 5),
    {
      kind: 'loss',
      session: AGED_SESSION,
      first: 6,
      last: 7,
      cause: 'corrupt',
      detectedAtUs: 1,
    } as const,
    agedSegment(7, 8, 3),
  ];
  await api.addChannel({ name: 'forgot', deliveries, sessions: agedSessions(AGED_SESSION) });
  await api.opened.pool.query('DELETE FROM losses WHERE first_sequence = 6');
  await exportAll('forgot');
  assert.deepEqual(await findings('forgot'), [
    { where: AGED_SESSION, problem: 'nothing accounts for its sequences 6 to 7' },
  ]);
});

test('what retention deletes is named, and accounted for, also in the middle', async () => {
  const days = [7, 6, 5, 4, 3, 2];
  const deliveries = days.map((day, index) => agedSegment(day, 1 + index * 400, 400));
  await api.addChannel({ name: 'aged', deliveries, sessions: agedSessions(AGED_SESSION) });
  await deleteOlder('aged', 6);
  const stop = new AbortController();
  const onStep = (): void => stop.abort(new Error('interrupted'));
  const options = { opened: api.opened, plan: planOf('aged'), path: pathOf('aged') };
  await assert.rejects(runExport({ ...options, signal: stop.signal, onStep }), /interrupted/);
  await deleteOlder('aged', 4);
  const manifest = await exportAll('aged');
  assert.equal(manifest.status, 'deleted');
  const lines = linesOf(filesOf(pathOf('aged')).get('deletions.ndjson')?.toString() ?? '');
  assert.equal(manifest.deletions.count, lines.length);
  const read = new Set(messagesIn(pathOf('aged')).map(({ sequence }) => sequence));
  const isDeleted = (sequence: number): boolean =>
    lines.some((line) => Number(line['first']) <= sequence && sequence <= Number(line['last']));
  for (let sequence = 1; sequence <= 400 * days.length; sequence += 1) {
    assert.ok(read.has(sequence) || isDeleted(sequence), `sequence ${sequence}`);
  }
  assert.deepEqual(await findings('aged'), []);
});

async function deleteOlder(channel: string, days: number): Promise<void> {
  const policyOf = (name: string): { ageMs?: number } =>
    name === channel ? { ageMs: days * DAY_MS } : {};
  await runRetention(
    api.opened.database,
    await loadRetentionPlan(api.opened.database, { policyOf }),
  );
}
