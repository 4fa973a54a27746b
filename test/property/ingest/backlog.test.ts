// The backlog against publishers that remember everything and an archive that is a list: whatever
// is told, committed, left uncommitted, cut off or spoilt, in any order and over any number of
// lives of the archiver, every message is stored once or declared lost, in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRandom, type SessionId } from '#base/mod.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { BacklogRun, type RunLimits } from '#test/support/backlog-run.ts';

const SESSIONS: readonly SessionId[] = [SESSION_A, SESSION_B];

type Step =
  | { readonly kind: 'messages'; readonly session: number; readonly sizes: readonly number[] }
  | { readonly kind: 'lost' | 'source' | 'closed'; readonly session: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'turns'; readonly count: number }
  | { readonly kind: 'commit' | 'unanswered' | 'settle' | 'crash' | 'restart' }
  | { readonly kind: 'failWrite' | 'failSync' };

const SESSION = fc.nat(SESSIONS.length - 1);
const STEPS: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant('messages' as const),
        session: SESSION,
        sizes: fc.array(fc.nat(300), { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('lost' as const, 'source' as const, 'closed' as const),
        session: SESSION,
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(700) }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.nat(12) }),
    },
    {
      weight: 7,
      arbitrary: fc.record({
        kind: fc.constantFrom('commit' as const, 'settle' as const, 'commit' as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'unanswered' as const,
          'crash' as const,
          'restart' as const,
          'failWrite' as const,
          'failSync' as const,
        ),
      }),
    },
  ),
  { maxLength: 150, size: 'max' },
);

async function take(run: BacklogRun, step: Step, random: () => number): Promise<void> {
  const { kind } = step;
  if (kind === 'messages') run.tell(SESSIONS[step.session] ?? SESSION_A, step.sizes);
  else if (kind === 'lost' || kind === 'source' || kind === 'closed')
    run.tell(SESSIONS[step.session] ?? SESSION_A, kind);
  else if (kind === 'wait') run.wait(step.ms);
  else if (kind === 'turns')
    for (let turn = 0; turn < step.count; turn += 1) await Promise.resolve();
  else if (kind === 'commit') run.commit();
  else if (kind === 'unanswered') run.commit(false);
  else if (kind === 'settle') await run.settle();
  else if (kind === 'restart') await restart(run);
  else if (kind === 'crash') await crash(run, random);
  else run.disk.faults[kind] = true;
}

async function crash(run: BacklogRun, random: () => number): Promise<void> {
  const { durablePosition } = run.backlog;
  await run.crash(random);
  assert.ok(run.backlog.receivedPosition >= durablePosition, 'what was durable is known again');
}

/** A stop loses nothing for which there is room: what was heard is known to the next process. */
async function restart(run: BacklogRun): Promise<void> {
  const { isSpoolUsable } = run.backlog;
  const before = SESSIONS.map((session) => run.heard(session));
  const problemCount = run.problems.length;
  await run.restart();
  const after = SESSIONS.map((session) => run.heard(session));
  const hasFailed = run.problems.length > problemCount;
  if (isSpoolUsable && run.hasWideSpool && !hasFailed) assert.deepEqual(after, before);
}

async function runAll(steps: readonly Step[], seed: number, limits: Partial<RunLimits>) {
  const random = seededRandom(seed);
  const run = await BacklogRun.start(limits);
  for (const step of steps) await take(run, step, random);
  Object.assign(run.disk.faults, { failWrite: false, failSync: false });
  await run.drain();
  run.check();
  return run;
}

test('every message is stored once, whatever happens, while a spool has room', async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), async (steps, seed) => {
      const run = await runAll(steps, seed, { filesMax: 1_000 });
      const causes = new Set(run.losses.map(({ cause }) => cause));
      causes.delete('repair_expired');
      if (run.problems.length > 0) causes.delete('spool_full');
      assert.deepEqual([...causes], []);
    }),
    { numRuns: 200 },
  );
});

test('what a full spool has no room for is declared, and the rest is stored once', async () => {
  let fullCount = 0;
  await fc.assert(
    fc.asyncProperty(STEPS, fc.nat(), async (steps, seed) => {
      const run = await runAll(steps, seed, { filesMax: 2, fileBytes: 2_048, directBytesMax: 500 });
      const causes = new Set(run.losses.map(({ cause }) => cause));
      if (causes.has('spool_full')) fullCount += 1;
      causes.delete('repair_expired');
      causes.delete('spool_full');
      assert.deepEqual([...causes], []);
    }),
    { numRuns: 200 },
  );
  assert.ok(fullCount > 20, `${fullCount} runs filled the spool`);
});
