// The dates of hosts are set an hour forward and back while everything runs: only what is a date
// shows it. Timers, order, leases and days of storage do not depend on the dates of archivers and
// publishers.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';

const HOUR_MS = 3_600_000;
const PATIENCE_MS = 20_000;
const PER_STEP = 20;
const CLOCK = import.meta.resolve('#test/support/stepping-clock.ts');

test('an archiver whose date is set an hour forward and back just goes on', async () => {
  await using scene = await setScene();
  await using folder = await createTestFolder();
  const clockFile = join(folder.path, 'clock');
  await writeFile(clockFile, '0');
  const env = { NODE_OPTIONS: `--import ${CLOCK}`, TEST_CLOCK_FILE: clockFile };
  const config = { archiver: { name: 'stepped', acknowledge: true } };
  await using archiver = await startArchiverProcess({ scene, name: 'stepped', env, config });
  const steps = [0, HOUR_MS, -HOUR_MS, 0];
  for (const stepMs of steps) {
    await writeFile(clockFile, String(stepMs));
    await using publisher = await scene.openPublisher({ lingerMs: 200 });
    for (let count = 0; count < PER_STEP; count += 1)
      await publisher.publish(Buffer.from(String(stepMs)), {
        until: 'archived',
        timeoutMs: PATIENCE_MS,
      });
  }
  assert.equal(archiver.leading.count, 1);
  const { rows } = await sql<{ ageS: number }>`
    SELECT max(abs(extract(epoch FROM now() - archived_at)))::float8 AS "ageS"
    FROM segments`.execute(scene.database);
  assert.ok((rows[0]?.ageS ?? Infinity) < 600, 'segments are dated by the database');
  await archiver.stop();
  const verdict = await scene.audited();
  const offsMs = archiver.lines.map((line) => timeIn(line) - Date.now());
  for (const sign of [1, -1])
    assert.ok(
      offsMs.some((offMs) => offMs * sign > HOUR_MS / 2),
      'the archiver saw the steps',
    );
  const expected = [steps.length, steps.length * PER_STEP, 0];
  assert.deepEqual([verdict.sessionCount, verdict.storedCount, verdict.lostCount], expected);
});

function timeIn(line: string): number {
  return Number(/"time":(\d+)/.exec(line)?.[1]);
}

test('a publisher whose date is set back keeps its order and the times it stated', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using publisher = await scene.openPublisher();
  const startUs = Date.UTC(2026, 10, 22, 12) * 1_000;
  const stepsUs = [0, HOUR_MS * 1_000, -HOUR_MS * 1_000, 7];
  const times = stepsUs.map((stepUs) => startUs + stepUs);
  for (const atUs of times) assert.ok(publisher.tryPublish(Buffer.from('x'), atUs));
  await scene.accounted(times.length);
  const stored = await scene.database
    .selectFrom('messages')
    .select(['position', 'published_at'])
    .orderBy('position')
    .execute();
  assert.deepEqual(
    stored.map(({ published_at }) => published_at),
    times,
  );
  await scene.audited();
});
