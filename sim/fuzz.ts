// `npm run fuzz`: hostile datagrams by the million into the machines and the readers. Prints what
// came of them, and fails on an exception, on answers beyond their bounds, and on growing memory.

import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { toError } from '#base/mod.ts';
import { Fuzzer } from './fuzzer.ts';

const HELP = `npm run fuzz -- [--datagrams N] [--seed S] [--minutes M]

Sound packets of every kind, bits of them flipped, fields forged, cut, spliced, and noise, into a
publisher, receivers of every kind and every reader.
  --datagrams N  how many (1000000)
  --seed S       the seed (1)
  --minutes M    stop after so many, whatever is left (10)

Exits with 1 on an exception, on more NAKs, confirmations or repairs than the bounds allow, and when
memory grows by more than 32 MiB after the first tenth.
`;

const GROWTH_MIB_MAX = 32;
const MIB = 1_048_576;
const LOOK_EVERY = 10_000;
const PROGRESS_EVERY_MS = 5_000;

interface Order {
  readonly datagrams: number;
  readonly seed: number;
  readonly minutes: number;
}

// `npm run fuzz` also bounds the engine's young generation, which would else grow as it likes.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

main();

function main(): void {
  const order = readArguments();
  if (order === undefined) return;
  const fuzzer = new Fuzzer(order.seed);
  const startedAtMs = performance.now();
  const endsAtMs = startedAtMs + order.minutes * 60_000;
  const warmDatagrams = Math.ceil(order.datagrams / 10);
  let warmBytes = 0;
  let progressAtMs = startedAtMs + PROGRESS_EVERY_MS;
  try {
    for (let count = 1; count <= order.datagrams; count += 1) {
      fuzzer.step();
      if (count === warmDatagrams) warmBytes = residentBytes();
      if (count % LOOK_EVERY !== 0) continue;
      fuzzer.checkBounds();
      const nowMs = performance.now();
      if (nowMs > endsAtMs && count > warmDatagrams) break;
      if (nowMs < progressAtMs) continue;
      progressAtMs = nowMs + PROGRESS_EVERY_MS;
      process.stderr.write(`${count} of ${order.datagrams} datagrams\n`);
    }
    fuzzer.checkBounds();
  } catch (error) {
    const replay = `npm run fuzz -- --seed ${order.seed} --datagrams ${fuzzer.datagrams}`;
    process.stdout.write(`FAILED: ${toError(error).stack ?? ''}\n  replay: ${replay}\n`);
    process.exitCode = 1;
  }
  const grownMib = (residentBytes() - warmBytes) / MIB;
  printReport(fuzzer);
  print('memory after the first tenth', `${(warmBytes / MIB).toFixed(1)} MiB`);
  print('growth since then', `${grownMib.toFixed(1)} MiB`);
  process.stderr.write(`took ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s\n`);
  if (warmBytes > 0 && grownMib > GROWTH_MIB_MAX) process.exitCode = 1;
  process.stdout.write(process.exitCode === 1 ? 'FAILED\n' : 'held\n');
}

function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

function printReport(fuzzer: Fuzzer): void {
  const { publisher, receivers } = fuzzer;
  print('datagrams', fuzzer.datagrams);
  for (const [mutation, count] of fuzzer.mutations) print(`  ${mutation}`, count);
  print('simulated seconds', fuzzer.nowMs / 1_000);
  print('messages read from blocks', fuzzer.messagesRead);
  printCounters('publisher', publisher.counters);
  for (const [index, receiver] of receivers.entries()) {
    printCounters(fuzzer.receiverNames[index] ?? '', receiver.counters);
    const reasons = [...receiver.malformedReasons].toSorted(([a], [b]) => a.localeCompare(b));
    for (const [reason, count] of reasons) print(`  malformed: ${reason}`, count);
    print('  sessions followed', receiver.sessionCount);
    print('  sessions remembered', receiver.rememberedCount);
  }
}

function printCounters(name: string, counters: Readonly<Record<string, number>>): void {
  print(name, '');
  for (const [counter, count] of Object.entries(counters)) {
    if (count > 0) print(`  ${counter}`, Math.round(count));
  }
}

function print(name: string, value: string | number): void {
  process.stdout.write(`${name.padEnd(32)}${String(value).padStart(16)}`.trimEnd().concat('\n'));
}

function readArguments(): Order | undefined {
  try {
    const { values } = parseArgs({
      options: {
        datagrams: { type: 'string', default: '1000000' },
        seed: { type: 'string', default: '1' },
        minutes: { type: 'string', default: '10' },
        help: { type: 'boolean', default: false },
      },
    });
    const order = {
      datagrams: Number(values.datagrams),
      seed: Number(values.seed),
      minutes: Number(values.minutes),
    };
    const isSound =
      Number.isSafeInteger(order.datagrams) &&
      order.datagrams >= 1 &&
      Number.isSafeInteger(order.seed) &&
      order.minutes > 0;
    if (isSound && !values.help) return order;
    if (!values.help) throw new Error('Whole numbers, please: datagrams from 1 on, and a seed.');
  } catch (error) {
    process.stderr.write(`${toError(error).message}\n`);
    process.exitCode = 2;
  }
  (process.exitCode === 2 ? process.stderr : process.stdout).write(HELP);
  return undefined;
}
