// Exported folders hold exactly what the API answers, in every format, whole or interrupted.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import {
  EXPORT_FORMATS,
  type ExportManifest,
  type ExportPlan,
  runExport,
  toExportRange,
  verifyExport,
} from '#replay-api/mod.ts';
import { filesOf, messagesIn, type ReadMessage } from '#test/support/exported-folder.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { bytesOf, linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';
import { SESSIONS, tradedChannel } from '#test/support/traded-channel.ts';

const NEVER = new AbortController().signal;

let api: TestApi;
let folder: TestFolder;
before(async () => {
  api = await openTestApi();
  folder = await createTestFolder();
  await api.addChannel(tradedChannel('trades', 1));
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function planOf(changes: Partial<ExportPlan> = {}): ExportPlan {
  return { ...toExportRange('trades', {}), format: 'ndjson', partMessages: 100, ...changes };
}

async function exportTo(name: string, plan: ExportPlan): Promise<ExportManifest> {
  return await runExport({ opened: api.opened, plan, path: pathOf(name), signal: NEVER });
}

function pathOf(name: string): string {
  return join(folder.path, name);
}

async function linesFromApi(query: string): Promise<Record<string, unknown>[]> {
  const answer = await api.get(`/v1/channels/trades/messages${query}`, 'application/x-ndjson');
  assert.equal(answer.status, 200, answer.text);
  return linesOf(answer.text);
}

function expected(lines: readonly Record<string, unknown>[]): ReadMessage[] {
  return lines
    .filter(({ kind }) => kind === 'message')
    .map((line) => ({
      position: Number(line['position']),
      session: String(line['session']),
      source: line['source'] as string | null,
      sequence: Number(line['sequence']),
      publishedAt: String(line['publishedAt']),
      archivedAt: String(line['archivedAt']),
      payload: bytesOf(line),
    }));
}

describe('a folder', () => {
  for (const format of EXPORT_FORMATS) {
    test(`holds in ${format} what the API answers`, async () => {
      const lines = await linesFromApi('');
      const manifest = await exportTo(`whole-${format}`, planOf({ format }));
      const messages = expected(lines);
      assert.deepEqual(messagesIn(pathOf(`whole-${format}`)), messages);
      assert.equal(manifest.messages.count, messages.length);
      assert.equal(manifest.status, 'partial');
      assert.equal(manifest.parts.length, Math.ceil(messages.length / 100));
      const losses =
        filesOf(pathOf(`whole-${format}`))
          .get('losses.ndjson')
          ?.toString() ?? '';
      assert.deepEqual(
        linesOf(losses),
        lines.filter(({ kind }) => kind === 'loss'),
      );
      assert.deepEqual(manifest.losses.listed, linesOf(losses));
      const verified = await verifyExport(pathOf(`whole-${format}`), {
        sha256: manifest.sha256,
        signal: NEVER,
      });
      assert.deepEqual(verified.problems, []);
    });
  }

  test('holds nothing but what its manifest names', async () => {
    const manifest = await exportTo('names', planOf());
    const named = [manifest.losses, manifest.deletions, ...manifest.parts].map(({ file }) => file);
    assert.deepEqual(
      readdirSync(pathOf('names')).toSorted(),
      ['manifest.json', ...named].toSorted(),
    );
  });

  test('of an interval or of positions holds what the API answers for it', async () => {
    const times = { from: '2026-11-20T20:00:00.5Z', to: '2026-11-21T13:00:00Z' };
    for (const [name, bounds, query] of [
      ['times', times, `?from=${times.from}&to=${times.to}`],
      ['positions', { after: 17, before: 403 }, '?after=17&before=403'],
      ['nothing', { after: 17, before: 18 }, '?after=17&before=18'],
    ] as const) {
      const lines = await linesFromApi(query);
      const manifest = await exportTo(name, planOf(toExportRange('trades', bounds)));
      assert.deepEqual(messagesIn(pathOf(name)), expected(lines), name);
      assert.equal(manifest.losses.count, lines.filter(({ kind }) => kind === 'loss').length, name);
      assert.equal(manifest.status, lines.at(-1)?.['status'], name);
      const { problems } = await verifyExport(pathOf(name), { sha256: undefined, signal: NEVER });
      assert.deepEqual(problems, [], name);
    }
  });

  test('of a session holds its messages in the order of the channel, and its losses', async () => {
    for (const session of SESSIONS) {
      const lines = await linesFromApi(`?session=${session}`);
      const range = toExportRange('trades', { session });
      const manifest = await exportTo(`session-${session}`, planOf(range));
      assert.deepEqual(messagesIn(pathOf(`session-${session}`)), expected(lines));
      assert.equal(manifest.losses.count, lines.filter(({ kind }) => kind === 'loss').length);
      assert.deepEqual(
        manifest.sessions.map((one) => one.session),
        [session],
      );
    }
  });

  test('of a session within an interval holds what both admit', async () => {
    const to = '2026-11-21T01:00:00Z';
    const lines = expected(await linesFromApi(`?to=${to}`));
    const session = SESSIONS[1];
    await exportTo('both', planOf(toExportRange('trades', { session, to })));
    assert.deepEqual(
      messagesIn(pathOf('both')),
      lines.filter((message) => message.session === session),
    );
  });

  test('of a foreign source accounts for the numbers that name no message', async () => {
    const session = SESSIONS[0] as SessionId;
    const messages = [1_000, 1_002, 1_003, 1_007].map((sequence, index, all) => ({
      session,
      sequence,
      throughSequence: (all[index + 1] ?? 1_009) - 1,
      publishedAtUs: instantAt(index),
      payload: Buffer.from(zmqMessage([Buffer.from('topic'), Buffer.from([index])])),
    }));
    await api.addChannel({
      name: 'foreign',
      framing: 'zmq',
      deliveries: [{ kind: 'segment', archivedAtUs: instantAt(9), messages }],
      sessions: new Map([[session, { isForeign: true }]]),
    });
    const plan = planOf({ ...toExportRange('foreign', {}), format: 'parquet', partMessages: 1 });
    const manifest = await exportTo('foreign', plan);
    assert.deepEqual(manifest.sessions[0].sequences, [[1_000, 1_008]]);
    const { problems } = await verifyExport(pathOf('foreign'), {
      sha256: undefined,
      signal: NEVER,
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      messagesIn(pathOf('foreign')).map(({ payload }) => payload),
      messages.map(({ payload }) => payload),
    );
  });

  test('that reaches beyond what is archived says so', async () => {
    const manifest = await exportTo('ahead', planOf({ before: 1_000_000 }));
    assert.equal(manifest.status, 'unsettled');
  });
});

describe('a folder that is there already', () => {
  test('with the same export is left as it is', async () => {
    const first = await exportTo('twice', planOf());
    const files = filesOf(pathOf('twice'));
    assert.deepEqual(await exportTo('twice', planOf()), first);
    assert.deepEqual(filesOf(pathOf('twice')), files);
  });

  test('with anything else is refused and not touched', async () => {
    await exportTo('other', planOf());
    const files = filesOf(pathOf('other'));
    await assert.rejects(exportTo('other', planOf({ partMessages: 7 })), {
      code: 'BACKCAST_EXPORT_OTHER',
    });
    await assert.rejects(exportTo('.', planOf()), { code: 'BACKCAST_EXPORT_OTHER' });
    assert.deepEqual(filesOf(pathOf('other')), files);
  });

  test('keeps what is of no export, whatever it is called', async () => {
    mkdirSync(pathOf('home'));
    writeFileSync(join(pathOf('home'), 'thesis.partial'), 'months');
    await assert.rejects(exportTo('home', planOf()), { code: 'BACKCAST_EXPORT_OTHER' });
    assert.deepEqual(readdirSync(pathOf('home')), ['thesis.partial']);
  });

  test('but is a file is refused', async () => {
    await exportTo('file', planOf());
    await assert.rejects(exportTo('file/manifest.json', planOf()), {
      code: 'BACKCAST_EXPORT_FOLDER',
    });
  });
});

describe('an interrupted export', () => {
  for (const format of EXPORT_FORMATS) {
    test(`goes on in ${format} and comes to the same bytes`, async () => {
      const plan = planOf({ format, partMessages: 64 });
      const begun = await interruptAfter(`cut-${format}`, plan, 1);
      assert.equal(begun, 'interrupted');
      const path = pathOf(`uncut-${format}`);
      cpSync(pathOf(`cut-${format}`), path, { recursive: true });
      await exportTo(`uncut-${format}`, plan);
      let rounds = 0;
      for (
        let steps = 2;
        (await interruptAfter(`cut-${format}`, plan, steps)) !== 'done';
        steps += 1
      )
        rounds += 1;
      assert.ok(rounds >= 3, `${rounds} interruptions`);
      assert.deepEqual(filesOf(pathOf(`cut-${format}`)), filesOf(path));
    });
  }

  test('does not look whole', async () => {
    await interruptAfter('begun', planOf(), 3);
    await assert.rejects(verifyExport(pathOf('begun'), { sha256: undefined, signal: NEVER }), {
      code: 'BACKCAST_EXPORT_DAMAGED',
      message: /not finished/,
    });
  });

  test('is about the moment at which it began', async () => {
    await api.addChannel(tradedChannel('growing', 2));
    const plan = { ...planOf(), ...toExportRange('growing', {}) };
    await interruptAfter('growing', plan, 2);
    cpSync(pathOf('growing'), pathOf('not-grown'), { recursive: true });
    await exportTo('not-grown', plan);
    await heal('growing');
    await exportTo('growing', plan);
    assert.deepEqual(filesOf(pathOf('growing')), filesOf(pathOf('not-grown')));
  });
});

async function interruptAfter(
  name: string,
  plan: ExportPlan,
  steps: number,
): Promise<'done' | 'interrupted'> {
  const stop = new AbortController();
  let left = steps;
  const onStep = (): void => {
    left -= 1;
    if (left === 0) stop.abort(new Error('interrupted'));
  };
  const path = pathOf(name);
  try {
    await runExport({ opened: api.opened, plan, path, signal: stop.signal, onStep });
    return 'done';
  } catch (error) {
    assert.match(String(error), /interrupted/);
    return 'interrupted';
  }
}

/** Heals every loss of a channel, as if somebody had heard the messages, and stores them. */
async function heal(channel: string): Promise<void> {
  const { pool } = api.opened;
  const { rows } = await pool.query<{ channel_id: number }>(
    'SELECT channel_id FROM channels WHERE name = $1',
    [channel],
  );
  const values = [rows[0].channel_id, new Date(instantAt(200_000) / 1000)];
  const { rowCount } = await pool.query(
    `UPDATE losses SET healed_at = $2, healed_position = 1000000, healed_by = 'test'
     WHERE channel_id = $1`,
    values,
  );
  assert.ok((rowCount ?? 0) > 0);
}

test('two exports into one folder leave one that is whole, or an error', async () => {
  await api.addChannel(tradedChannel('contested', 4));
  const plan = { ...planOf(), ...toExportRange('contested', {}), partMessages: 20 };
  for (const steps of [0, 1, 7, 30]) {
    const name = `contested-${steps}`;
    const begun = Promise.withResolvers<void>();
    let left = steps;
    const onStep = (): void => {
      left -= 1;
      if (left <= 0) begun.resolve();
    };
    if (steps === 0) begun.resolve();
    const path = pathOf(name);
    const first = runExport({ opened: api.opened, plan, path, signal: NEVER, onStep });
    const ends = await Promise.allSettled([first, begun.promise.then(() => exportTo(name, plan))]);
    for (const end of ends)
      if (end.status === 'rejected')
        assert.equal((end.reason as { readonly code?: unknown }).code, 'BACKCAST_EXPORT_FOLDER');
    await exportTo(name, plan);
    const { problems } = await verifyExport(pathOf(name), { sha256: undefined, signal: NEVER });
    assert.deepEqual(problems, []);
  }
});

test('an unknown channel or session is told as such, and leaves no manifest', async () => {
  await assert.rejects(exportTo('unknown', planOf(toExportRange('none', {}))), {
    code: 'BACKCAST_CHANNEL_UNKNOWN',
  });
  const session = '1111111111111111' as SessionId;
  await assert.rejects(exportTo('stranger', planOf({ session })), {
    code: 'BACKCAST_SESSION_UNKNOWN',
  });
  assert.equal(filesOf(pathOf('stranger')).has('manifest.json'), false);
});
