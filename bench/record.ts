// `npm run bench`: runs every measurement as a process of its own, appends what came out to
// bench/history.ndjson, and makes docs/benchmarks.md from the last entry. Nobody edits numbers by
// hand. With DATABASE_URL the archive is also measured on that server, which is the way to see lz4.
// Each measurement runs ROUNDS times; the median by messages per second is what counts.

import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '#base/mod.ts';
import { describeMachine } from './machine.ts';

/** What a measurement prints: one JSON object with at least the rate. */
interface Measured {
  readonly messagesPerSecond: number;
  readonly [name: string]: unknown;
}

interface Measurement {
  readonly name: string;
  /** Arguments of node; `HOME` stands for a folder that the measurements share. */
  readonly args: readonly string[];
  /** What of the output stands in the table beside the rate. */
  readonly shows: readonly string[];
  readonly onServer: boolean;
}

/** One line of the history. */
interface Entry {
  readonly at: string;
  readonly commit: string;
  readonly machine: string;
  readonly node: string;
  readonly results: readonly Result[];
}

interface Result {
  readonly name: string;
  readonly server: string;
  readonly median: Measured;
  readonly rates: readonly number[];
}

const ROUNDS = 5;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HISTORY = join(ROOT, 'bench/history.ndjson');
const PAGE = join(ROOT, 'docs/benchmarks.md');
const PATH = ['cli/main.ts', 'bench', 'archive', '--json', '--home', 'HOME'];
const PATH_SHOWS = ['server', 'packetBytesMax', 'storedBytesPerMessage', 'peakMemoryBytes'];

const LIVE = ['cli/main.ts', 'bench', 'live', '--json'];
const LIVE_SHOWS = [
  'latencyUsP50',
  'latencyUsP99',
  'steadyRate',
  'packetsPerSecond',
  'packetsPerCoreSent',
  'packetsPerCoreReceived',
];

const MEASUREMENTS: readonly Measurement[] = [
  {
    name: 'publish → multicast → COMMIT',
    args: [...PATH, '--messages', '2000000'],
    shows: PATH_SHOWS,
    onServer: true,
  },
  {
    name: 'the same in packets of 1,472 bytes',
    args: [...PATH, '--messages', '1000000', '--packet-bytes', '1472'],
    shows: PATH_SHOWS,
    onServer: true,
  },
  {
    name: 'COPY alone: ready segments → COMMIT',
    args: ['bench/append.ts', '--seconds', '4'],
    shows: ['server', 'compression', 'storedBytesPerMessage'],
    onServer: true,
  },
  {
    name: 'live: publish → multicast → subscriber',
    args: LIVE,
    shows: LIVE_SHOWS,
    onServer: false,
  },
  {
    name: 'live in packets of 1,472 bytes',
    args: [...LIVE, '--packet-bytes', '1472'],
    shows: LIVE_SHOWS,
    onServer: false,
  },
];

const { DATABASE_URL: databaseUrl, ...environment } = process.env;
const home = mkdtempSync(join(tmpdir(), 'backcast-bench-'));
try {
  const results: Result[] = [];
  for (const measurement of MEASUREMENTS) {
    results.push(run(measurement, 'embedded', environment));
    if (databaseUrl === undefined || !measurement.onServer) continue;
    results.push(run(measurement, 'DATABASE_URL', { ...environment, DATABASE_URL: databaseUrl }));
  }
  const entry: Entry = { at: new Date().toISOString(), ...surroundings(), results };
  appendFileSync(HISTORY, `${JSON.stringify(entry)}\n`);
  writeFileSync(PAGE, page(entry));
  process.stderr.write('written: bench/history.ndjson, docs/benchmarks.md\n');
} finally {
  rmSync(home, { recursive: true, force: true });
}

function run(measurement: Measurement, server: string, env: NodeJS.ProcessEnv): Result {
  const rounds: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const args = measurement.args.map((argument) => (argument === 'HOME' ? home : argument));
    const options = { cwd: ROOT, env, encoding: 'utf8', maxBuffer: 1_048_576 } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
    if (status !== 0) throw new Error(`${measurement.name} failed:\n${stderr}`);
    const measured = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Measured;
    rounds.push(measured);
    const line = `${measurement.name}, ${server}, round ${round}: ${measured.messagesPerSecond}/s`;
    process.stderr.write(`${line}\n`);
  }
  rounds.sort((a, b) => a.messagesPerSecond - b.messagesPerSecond);
  const median = rounds[Math.floor(rounds.length / 2)];
  assert(median !== undefined, 'there is at least one round');
  const rates = rounds.map(({ messagesPerSecond }) => messagesPerSecond);
  return { name: measurement.name, server, median, rates };
}

function surroundings(): { commit: string; machine: string; node: string } {
  const git = ['-C', ROOT, 'rev-parse', '--short', 'HEAD'];
  const commit = execFileSync('git', git, { encoding: 'utf8' }).trim();
  return { commit, machine: describeMachine(), node: process.version };
}

function page({ at, commit, machine, node, results }: Entry): string {
  const rows = results.map(({ name, median, rates }) => {
    const shows = MEASUREMENTS.find((one) => one.name === name)?.shows ?? [];
    const details = shows.map((key) => `${key} ${show(median[key])}`).join(', ');
    const range = `${show(rates[0])} – ${show(rates.at(-1))}`;
    return `| ${name} | ${show(median.messagesPerSecond)} | ${range} | ${details} |`;
  });
  return `# Benchmarks

Made by \`npm run bench\`; the numbers are never edited by hand. Earlier runs are in
\`bench/history.ndjson\`.

- When: ${at}, commit ${commit}
- Machine: ${machine}, shared with others, so compare within one run
- Node ${node}; 140-byte JSON messages, one publisher, channel and archiver thread; fsync on
- Each line: median of ${ROUNDS} runs in messages per second, with the slowest and the fastest

| what | messages/s | slowest – fastest | of the median run |
| --- | ---: | ---: | --- |
${rows.join('\n')}

The first two measurements are whole: a publisher numbers, packs and sends, the kernel carries
multicast on the loopback interface, the archiver receives, orders, batches and commits; the clock
stops when the last message is committed, and every run ends with an audit that must find nothing
missing. The publisher runs at most 131,072 messages ahead of the archive. The third leaves all of
that out: it is what one connection to the same PostgreSQL takes in transactions of 32,768 messages.
The batches of the whole path grow to 65,536 under load, so it can come out ahead where a
transaction costs much.

The live measurements leave the archive out: one publisher and one subscriber on two threads. The
rate is that of the slower of the two, which is at most 65,536 messages behind. Latency is taken in
a run of its own at the steady rate, from the call of \`publish\` to the reader's hands; it contains
the time for which a packet waits to be filled (\`publisher.flushMs\`, 1 ms at most). Packets per
core are packets by the processor time of the thread that sends or receives them, with the kernel's.

Other measurements, to be run by hand: \`node bench/spool.ts\` (an outage of PostgreSQL),
\`node bench/protocol.ts\` (the protocol machines alone, in
memory) and \`node bench/replay.ts postgres://…\` (NDJSON out of the replay API).
`;
}

function show(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en') : String(value);
}
