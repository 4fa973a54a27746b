// Two archivers of one channel against an archive that is a list: whatever they hear, miss, write,
// take over from each other and lose in crashes, in any order, and wherever the archive goes back
// to, every sequence is stored once or declared lost. And while neither crashes nor the archive
// goes back, nothing counts as lost in the end that one of them has heard.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRandom, type SessionId } from '#base/mod.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { inFull } from '#test/support/thoroughness.ts';
import { type StandbyLimits, StandbyRun } from '#test/support/standby-run.ts';

const SESSIONS: readonly SessionId[] = [SESSION_A, SESSION_B];
const COUNT = 2;

interface Step {
  readonly kind: Kind;
  readonly archiver: number;
  readonly session: number;
  readonly sizes: readonly number[];
}

const PEACEFUL = [
  ...(['hear', 'hear', 'hear', 'hear', 'hearAll', 'hearAll', 'hearAll'] as const),
  ...(['commit', 'commit', 'commit', 'watch', 'settle', 'settle'] as const),
  ...(['miss', 'unanswered', 'take', 'offer', 'heal', 'wait'] as const),
];
const FORGETFUL = [...PEACEFUL.filter((kind) => kind !== 'miss'), 'goBack'] as const;
const VIOLENT = [...PEACEFUL, 'crash', 'goBack'] as const;
type Kind = (typeof VIOLENT)[number];

function stepsOf(kinds: readonly Kind[]): fc.Arbitrary<Step[]> {
  const step = fc.record({
    kind: fc.constantFrom(...kinds),
    archiver: fc.nat(COUNT - 1),
    session: fc.nat(SESSIONS.length - 1),
    sizes: fc.array(fc.nat(200), { minLength: 1, maxLength: 4 }),
  });
  return fc.array(step, { maxLength: 120, size: 'max' });
}

async function take(run: StandbyRun, step: Step, random: () => number): Promise<void> {
  const archiver = run.archivers[step.archiver];
  const session = SESSIONS[step.session];
  if (archiver === undefined || session === undefined) return;
  switch (step.kind) {
    case 'hear':
      return archiver.hear(session, step.sizes);
    case 'hearAll':
      return run.archivers.forEach((each) => each.hear(session, step.sizes));
    case 'miss':
      return archiver.miss(session, step.sizes.length);
    case 'commit':
    case 'unanswered':
      return void archiver.commit(step.kind === 'commit');
    case 'watch':
      return archiver.watch();
    case 'take':
      return archiver.take();
    case 'offer':
      return archiver.offer();
    case 'heal':
      return archiver.heal();
    case 'wait':
      return run.wait(step.sizes[0] ?? 0);
    case 'settle':
      return await archiver.settle();
    case 'crash':
      return await archiver.crash(random);
    case 'goBack':
      return run.archive.goBack(step.sizes.length);
    default:
      step.kind satisfies never;
  }
}

const LIMITS: fc.Arbitrary<StandbyLimits> = fc.record({
  hasSpool: fc.boolean(),
  directBytesMax: fc.constantFrom(800, 3_000),
  recentBytesMax: fc.constantFrom(0, 1_000, 100_000),
});

async function runAll(steps: readonly Step[], seed: number, limits: StandbyLimits) {
  const random = seededRandom(seed);
  const run = await StandbyRun.start(COUNT, limits);
  for (const step of steps) await take(run, step, random);
  await run.drain(seed % COUNT);
  run.check();
  return run;
}

test('every sequence is stored once or lost, whoever writes, crashes or forgets', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf(VIOLENT), fc.nat(), LIMITS, async (steps, seed, limits) => {
      await runAll(steps, seed, limits);
    }),
    { numRuns: inFull(2_000, 150) },
  );
});

test('what an archive forgets is written again, while it is kept somewhere', async () => {
  let forgotCount = 0;
  await fc.assert(
    fc.asyncProperty(stepsOf(FORGETFUL), fc.nat(), fc.boolean(), async (steps, seed, hasSpool) => {
      const limits = { hasSpool, directBytesMax: 100_000, recentBytesMax: 1_000_000 };
      const run = await runAll(steps, seed, limits);
      await run.drain((seed + 1) % COUNT);
      run.check();
      run.checkHeard();
      assert.deepEqual(run.archive.now.losses, []);
      if (run.archive.forgotCount > 0) forgotCount += 1;
    }),
    { numRuns: inFull(2_000, 100) },
  );
  assert.ok(forgotCount > 25, `the archive forgot something in ${forgotCount} runs`);
});

test('what one of two archivers has heard does not count as lost in the end', async () => {
  await fc.assert(
    fc.asyncProperty(stepsOf(PEACEFUL), fc.nat(), LIMITS, async (steps, seed, limits) => {
      const run = await runAll(steps, seed, { ...limits, hasSpool: true });
      await run.drain((seed + 1) % COUNT);
      run.check();
      run.checkHeard();
    }),
    { numRuns: inFull(2_000, 150) },
  );
});
