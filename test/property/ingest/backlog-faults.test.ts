// The backlog on a disk that is spoilt while nobody looks, or that fails for a while: every message
// is stored once or declared lost, the start never fails, and nothing goes on for ever.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRandom, type SessionId } from '#base/mod.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { BacklogRun, type RunLimits } from '#test/support/backlog-run.ts';
import type { SimulatedDisk } from '#test/support/simulated-disk.ts';

const SESSIONS: readonly SessionId[] = [SESSION_A, SESSION_B];
const LIMITS: Partial<RunLimits> = { fileBytes: 2_048, filesMax: 40, directBytesMax: 500 };
const RETRY_MS = 10_500;

const TOLD = fc.array(
  fc.record({
    session: fc.nat(1),
    sizes: fc.array(fc.nat(120), { minLength: 1, maxLength: 3 }),
  }),
  { minLength: 4, maxLength: 30 },
);
type Told = typeof TOLD extends fc.Arbitrary<infer Value> ? Value : never;

function tellAll(run: BacklogRun, told: Told): void {
  for (const { session, sizes } of told) run.tell(SESSIONS[session] ?? SESSION_A, sizes);
}

/** A run whose spool has files, of which some may be archived. */
async function spooledRun(told: Told, commits: number): Promise<BacklogRun> {
  const run = await BacklogRun.start(LIMITS);
  tellAll(run, told);
  await run.settle();
  run.wait(200);
  await run.settle();
  for (let commit = 0; commit < commits; commit += 1) run.commit();
  await run.settle();
  return run;
}

function filesOf(disk: SimulatedDisk): string[] {
  return disk.names.filter((name) => name.endsWith('.spool'));
}

function causesOf(run: BacklogRun): string[] {
  return [...new Set(run.losses.map(({ cause }) => cause))];
}

test('a bit flipped anywhere: every message is stored once or declared corrupt', async () => {
  let damagedCount = 0;
  await fc.assert(
    fc.asyncProperty(TOLD, TOLD, fc.nat(3), fc.nat(), async (told, after, commits, seed) => {
      const random = seededRandom(seed);
      const run = await spooledRun(told, commits);
      await run.damage((disk) => {
        const names = filesOf(disk);
        const name = names[Math.floor(random() * names.length)];
        if (name !== undefined) disk.flip(name, Math.floor(random() * 2_048 * 8));
      });
      tellAll(run, after);
      await run.drain();
      run.check();
      const causes = causesOf(run);
      assert.ok(
        causes.every((cause) => cause === 'corrupt'),
        causes.join(),
      );
      if (causes.length > 0) damagedCount += 1;
      const said = run.said.filter(({ cause }) => cause === 'corrupt');
      assert.equal(said.length > 0, causes.length > 0, 'a loss is told');
    }),
    { numRuns: 400 },
  );
  assert.ok(damagedCount > 40, `${damagedCount} runs were damaged`);
});

test('a file that is gone or cannot be read: its messages are declared or asked for', async () => {
  await fc.assert(
    fc.asyncProperty(TOLD, TOLD, fc.nat(3), fc.nat(9), fc.boolean(), async (...given) => {
      const [told, after, commits, which, isGone] = given;
      const run = await spooledRun(told, commits);
      await run.damage((disk) => {
        const names = filesOf(disk);
        const name = names[which % Math.max(1, names.length)];
        if (name !== undefined && isGone) disk.lose(name);
        else disk.faults.unreadable = name;
      });
      tellAll(run, after);
      await run.drain();
      run.check();
      assert.ok(causesOf(run).every((cause) => cause === 'corrupt'));
    }),
    { numRuns: 200 },
  );
});

test('a disk that fails for a while: nothing is lost, and it is used again', async () => {
  await fc.assert(
    fc.asyncProperty(TOLD, TOLD, TOLD, fc.nat(4), async (before, during, after, commits) => {
      const run = await spooledRun(before, 0);
      run.disk.faults.failAll = true;
      tellAll(run, during);
      run.wait(200);
      await run.settle();
      assert.equal(run.backlog.isSpoolUsable, false);
      assert.equal(run.problems.length, 1);
      for (let commit = 0; commit < commits; commit += 1) {
        run.commit();
        await run.settle();
      }
      run.disk.faults.failAll = false;
      run.wait(RETRY_MS);
      await run.settle();
      assert.equal(run.backlog.isSpoolUsable, true);
      assert.equal(run.problems.at(-1), undefined);
      const heard = SESSIONS.map((session) => run.heard(session));
      tellAll(run, after);
      run.wait(200);
      await run.settle();
      await run.crash(seededRandom(1));
      for (const [index, session] of SESSIONS.entries())
        assert.ok(run.heard(session) >= (heard[index] ?? 0), 'it was on the disk again');
      await run.drain();
      run.check();
      assert.deepEqual(run.losses, []);
    }),
    { numRuns: 200 },
  );
});

test('a folder that could not be listed at the start is taken up later', async () => {
  await fc.assert(
    fc.asyncProperty(TOLD, TOLD, TOLD, async (before, during, after) => {
      const run = await spooledRun(before, 0);
      await run.damage((disk) => {
        disk.faults.unlisted = true;
      });
      assert.equal(run.backlog.isSpoolUsable, false);
      // Nobody knows of the spool, so the publishers are asked for all that again.
      tellAll(run, before);
      tellAll(run, during);
      while (run.commit()) await run.settle();
      run.disk.faults.unlisted = false;
      run.wait(RETRY_MS);
      await run.settle();
      assert.equal(run.backlog.isSpoolUsable, true);
      tellAll(run, after);
      await run.drain();
      run.check();
      assert.deepEqual(run.losses, []);
    }),
    { numRuns: 200 },
  );
});

test('a disk that is full when needed: what memory has no room for is spool_full', async () => {
  const run = await BacklogRun.start({ ...LIMITS, directBytesMax: 4_000 });
  run.disk.faults.bytesMax = 0;
  while (run.said.length === 0) {
    run.tell(SESSION_A, [300, 300]);
    run.wait(600);
    await run.settle();
    assert.equal(run.backlog.hasRoom, true, 'it is never deaf');
  }
  assert.ok(run.backlog.heldBytes > 10_000, 'memory is used first');
  for (let count = 0; count < 50; count += 1) {
    run.tell(SESSION_B, [300, 300]);
    run.wait(600);
    await run.settle();
  }
  assert.ok(run.backlog.heldBytes < 20_000);
  run.disk.faults.bytesMax = Number.POSITIVE_INFINITY;
  await run.drain();
  run.check();
  assert.deepEqual(causesOf(run), ['spool_full']);
  assert.ok(run.losses.length <= 3, `${run.losses.length} losses`);
});
