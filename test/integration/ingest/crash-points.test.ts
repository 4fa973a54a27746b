// The archiver killed at points of its life chosen from all there are; `node
// test/soak/crash-points.ts` takes every one. Points are found anew each time, so that what the
// program does new is killed in the middle as well.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  crashAt,
  type CrashPoint,
  type CrashRun,
  findCrashPoints,
} from '#test/support/crash-scenario.ts';
import { isTooSlow, summary } from '#test/support/figures.ts';
import { inFull } from '#test/support/thoroughness.ts';

const AT_ONCE = 3;
const SPREAD = inFull(9, 3);
/** A point may not come up in a run whose timing is another; few may be of that sort. */
const MISSED_MAX = 3;
/** What must be among the points, or the hooks have lost sight of it; each is killed once. */
const MUST_BE: readonly { readonly kind: RegExp; readonly side: CrashPoint['side'] }[] = [
  { kind: /^to database: COMMIT/, side: 'after' },
  { kind: /^from database: COMMIT/, side: 'before' },
  { kind: /^to database: .*INSERT INTO losses/, side: 'after' },
  { kind: /^to database: insert into leases/i, side: 'after' },
  { kind: /^to database: .*rows/, side: 'after' },
  { kind: /^file datasync/, side: 'before' },
  { kind: /^file write/, side: 'after' },
];

test('an archiver killed at any point loses and doubles nothing', async () => {
  const chosen = choose(await findCrashPoints());
  const runs: CrashRun[] = [];
  const waiting = chosen.values();
  const work = async (): Promise<void> => {
    for (const point of waiting) {
      runs.push(
        await crashAt(point).catch((cause: unknown) => {
          throw new Error(`killed at ${JSON.stringify(point)}`, { cause });
        }),
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const restarts = runs.map(({ restart }) => restart).filter((restart) => restart !== undefined);
  assert.ok(chosen.length - restarts.length <= MISSED_MAX, `killed ${restarts.length} times`);
  assert.ok(!restarts.some((restart) => isTooSlow(restarts, restart)), summary(restarts));
});

/** Those that must be, and others spread evenly over kinds, the first and the last in turn. */
function choose(points: readonly CrashPoint[]): readonly CrashPoint[] {
  const needed = MUST_BE.map(({ kind, side }) => {
    const found = points.filter((point) => kind.test(point.kind) && point.side === side);
    return found[Math.floor(found.length / 2)] ?? assert.fail(`nothing is ${String(kind)}`);
  });
  const kinds = Map.groupBy(points, ({ thread, kind, side }) => `${thread} ${kind} ${side}`);
  const spread = [...kinds.values()].filter(
    (_, index) => index % Math.ceil(kinds.size / SPREAD) === 0,
  );
  const ends = spread.map((alike, index) => (index % 2 === 0 ? alike[0] : alike.at(-1)));
  return [...needed, ...ends.filter((point) => point !== undefined)];
}
