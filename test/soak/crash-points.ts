// Kills the archiver at every point of its life, one run each:
//
//   node test/soak/crash-points.ts [--parallel 3] [--of 'COMMIT|datasync']

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crashAt, findCrashPoints } from '#test/support/crash-scenario.ts';
import { isTooSlow, type Restart, summary } from '#test/support/figures.ts';
import { soakOptions } from '#test/support/soak-options.ts';

const options = soakOptions('Kills an archiver at every point of its life, one run each.', {
  parallel: [3, 'how many at once'],
  of: ['', 'only points whose thread and kind match this pattern'],
});
const wanted = new RegExp(options.of);

test('an archiver killed at any point', { concurrency: options.parallel }, async (t) => {
  const all = await findCrashPoints();
  const points = all.filter(({ thread, kind }) => wanted.test(`${thread} ${kind}`));
  assert.ok(points.length > 0);
  const restarts: Restart[] = [];
  await Promise.all(
    points.map((point) => {
      const { thread, kind, ordinal, side } = point;
      return t.test(`${side} ${thread} ${kind} ${ordinal}`, async () => {
        const { restart } = await crashAt(point);
        if (restart !== undefined) restarts.push(restart);
      });
    }),
  );
  t.diagnostic(`${points.length} of ${all.length} points, killed at ${restarts.length}`);
  t.diagnostic(summary(restarts));
  assert.ok(!restarts.some((restart) => isTooSlow(restarts, restart)));
});
