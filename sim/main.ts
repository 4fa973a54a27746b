// `npm run sim`: runs seeds of the swarm and prints a line for each. What it prints depends on its
// arguments alone, so that two runs compare as text; how long it takes goes to standard error.

import { parseArgs } from 'node:util';
import { toError } from '#base/mod.ts';
import { FAULT_CLASSES, type FaultClass } from './fault-plan.ts';
import { runSwarm, type SwarmResult } from './swarm.ts';

const HELP = `npm run sim -- [--seed N] [--seeds K] [--minutes M] [--verbose]

Publishers, receivers and a recorder, all the real machines, in a world drawn from a seed.
  --seed N     the first seed (1)
  --seeds K    how many, from there on (1)
  --minutes M  simulated minutes with faults, per seed (0.1); recovery and the end come after
  --verbose    what each fault did, and why messages were lost, below each line

One line per seed:
  seed       the seed
  faults     the classes that were on, one letter each; a dot is one that was off
  sess       sessions: incarnations of publishers
  published  messages published
  told       messages that receivers told, over all of them
  lost       messages that receivers declared lost
  archived   messages in the archive
  missed     packets found missing by the receivers' last lives
  asked      packet numbers they asked for
  datagrams  datagrams sent, per receiving node
  digest     fingerprint of everything that happened; the same twice means the same run

Letters:
${Object.entries(FAULT_CLASSES)
  .map(([name, { letter, sentence }]) => `  ${letter}  ${name}: ${sentence}`)
  .join('\n')}

Exits with 1 when a seed fails, or when 200 seeds or more never saw one of the faults.
`;

/** From this many seeds on, every class of faults must have happened. */
const VACUOUS_SEEDS_MIN = 200;
const PROGRESS_EVERY_MS = 5_000;
const COLUMNS: readonly (readonly [string, number])[] = [
  ['seed', 8],
  ['faults', 17],
  ['sess', 5],
  ['published', 10],
  ['told', 8],
  ['lost', 7],
  ['archived', 9],
  ['missed', 8],
  ['asked', 8],
  ['datagrams', 10],
  ['digest', 17],
];

interface Order {
  readonly seed: number;
  readonly seeds: number;
  readonly minutes: number;
  readonly isVerbose: boolean;
}

main();

function main(): void {
  const order = readArguments();
  if (order === undefined) return;
  const happened = new Map<FaultClass, number>();
  const startedAtMs = performance.now();
  let progressAtMs = startedAtMs + PROGRESS_EVERY_MS;
  let failed = 0;
  print(COLUMNS.map(([title]) => title));
  for (let seed = order.seed; seed < order.seed + order.seeds; seed += 1) {
    try {
      const result = runSwarm(seed, order.minutes * 60_000);
      printResult(result, order.isVerbose);
      for (const [name, count] of faultsOf(result)) {
        happened.set(name, (happened.get(name) ?? 0) + Math.min(1, count));
      }
    } catch (error) {
      failed += 1;
      const replay = `npm run sim -- --seed ${seed} --minutes ${order.minutes}`;
      process.stdout.write(`${seed} FAILED: ${toError(error).message}\n  replay: ${replay}\n`);
      if (order.isVerbose) process.stdout.write(`${toError(error).stack ?? ''}\n`);
    }
    if (performance.now() < progressAtMs) continue;
    progressAtMs = performance.now() + PROGRESS_EVERY_MS;
    process.stderr.write(`${seed - order.seed + 1} of ${order.seeds} seeds, ${failed} failed\n`);
  }
  const never = Object.keys(FAULT_CLASSES).filter((name) => !happened.get(name as FaultClass));
  if (order.seeds > 1) printSummary(order, failed, happened);
  const isVacuous = order.seeds >= VACUOUS_SEEDS_MIN && never.length > 0;
  if (isVacuous) process.stdout.write(`never happened: ${never.join(', ')}\n`);
  const tookSec = (performance.now() - startedAtMs) / 1_000;
  process.stderr.write(`took ${tookSec.toFixed(1)} s\n`);
  if (failed > 0 || isVacuous) process.exitCode = 1;
}

function readArguments(): Order | undefined {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '0.1' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const seed = Number(values.seed);
    const seeds = Number(values.seeds);
    const minutes = Number(values.minutes);
    const isSound =
      Number.isSafeInteger(seed) && seed >= 0 && Number.isSafeInteger(seeds) && seeds >= 1;
    if (!values.help && isSound && minutes > 0 && minutes <= 1_440) {
      return { seed, seeds, minutes, isVerbose: values.verbose };
    }
    if (!values.help) throw new Error('Seeds are whole numbers, minutes more than 0, up to 1440.');
  } catch (error) {
    process.stderr.write(`${toError(error).message}\n`);
    process.exitCode = 2;
  }
  (process.exitCode === 2 ? process.stderr : process.stdout).write(HELP);
  return undefined;
}

function printResult(result: SwarmResult, isVerbose: boolean): void {
  const { seed, plan, sessions, published, delivered, lost, archived } = result;
  const { packetsMissed, requests, datagrams, digest } = result;
  const letters = (Object.keys(FAULT_CLASSES) as FaultClass[]).map((name) =>
    plan.on.has(name) ? FAULT_CLASSES[name].letter : '.',
  );
  const counts = [sessions, published, delivered, lost, archived];
  print([seed, letters.join(''), ...counts, packetsMissed, requests, datagrams, digest]);
  if (!isVerbose) return;
  const happened = faultsOf(result).map(([name, count]) => `${name} ${count}`);
  const causes = [...result.causes].map(([cause, count]) => `${cause} ${count}`);
  process.stdout.write(`  happened: ${happened.join(', ') || 'nothing'}\n`);
  process.stdout.write(`  lost by: ${causes.join(', ') || 'nothing'}\n`);
}

function printSummary(
  order: Order,
  failed: number,
  happened: ReadonlyMap<FaultClass, number>,
): void {
  const seen = [...happened].map(([name, count]) => `${name} ${count}`);
  process.stdout.write(`${order.seeds} seeds, ${failed} failed\n`);
  process.stdout.write(`seeds in which it happened: ${seen.join(', ')}\n`);
}

function faultsOf({ faults }: SwarmResult): [FaultClass, number][] {
  return (Object.entries(faults) as [FaultClass, number][]).filter(([, count]) => count > 0);
}

function print(cells: readonly (string | number)[]): void {
  const line = cells.map((cell, index) => String(cell).padStart(COLUMNS[index]?.[1] ?? 0));
  process.stdout.write(`${line.join(' ').trimEnd()}\n`);
}
