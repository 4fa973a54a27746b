// `npm run bench`: runs every measurement as a process of its own, appends what came out to
// bench/history.ndjson, and makes docs/benchmarks.md from the last entries. Nobody edits numbers by
// hand. With DATABASE_URL the archive is also measured on that server, which is the way to see lz4.
// Each measurement runs ROUNDS times, the median by messages per second is what counts; the series
// of shards and rates runs once. `node bench/record.ts --stored` runs that series alone, beside up
// to 50 million stored messages, which takes a quarter of an hour and 20 GiB of disk; `--replay` reads
// history beside as many, on the server of DATABASE_URL if given, in a database that should be empty:
// some ten minutes, and 2 to 8 GiB.

import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '#base/mod.ts';
import type { ArchiveBenchmarkResult } from './archive-series.ts';
import { describeMachine } from './machine.ts';
import type { ReplayBenchmarkResult } from './replay.ts';
import { benchmarkPage, type Entry, type Measured, type Result } from './record-page.ts';

interface Measurement {
  readonly name: string;
  /** Arguments of node; `HOME` stands for a folder that the measurements share. */
  readonly args: readonly string[];
  /** What of the output stands in the table beside the rate. */
  readonly shows: readonly string[];
  readonly onServer: boolean;
}

const ROUNDS = 5;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HISTORY = join(ROOT, 'bench/history.ndjson');
const PAGE = join(ROOT, 'docs/benchmarks.md');
const SERIES = ['cli/main.ts', 'bench', 'archive', '--json', '--home', 'HOME'];
const STORED = ['--stored', '1000000,10000000,50000000'];
const REPLAY = ['cli/main.ts', 'bench', 'replay', '--json', '--home', 'HOME', ...STORED];
const PATH = [...SERIES, '--shards', '1', '--rates', 'none'];
const PATH_SHOWS = [
  'server',
  'packetBytesMax',
  'storedBytesPerMessage',
  'copySharePercent',
  'peakMemoryBytes',
];

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
const SERVERS: readonly { readonly name: string; readonly env: NodeJS.ProcessEnv }[] = [
  { name: 'embedded', env: environment },
  ...(databaseUrl === undefined
    ? []
    : [{ name: 'DATABASE_URL', env: { ...environment, DATABASE_URL: databaseUrl } }]),
];
const isStored = process.argv.includes('--stored');
const isReplay = process.argv.includes('--replay');
const home = mkdtempSync(join(tmpdir(), 'backcast-bench-'));
try {
  const entry: Entry = { at: new Date().toISOString(), ...surroundings(), ...measureAll() };
  appendFileSync(HISTORY, `${JSON.stringify(entry)}\n`);
  writePage();
  process.stderr.write('written: bench/history.ndjson, docs/benchmarks.md\n');
} finally {
  rmSync(home, { recursive: true, force: true });
}

function measureAll(): Pick<Entry, 'results' | 'series' | 'replay'> {
  if (isReplay) return { results: [], replay: runReplay() };
  const results = isStored ? [] : runAll();
  return { results, series: SERVERS.map(({ env }) => runSeries(env)) };
}

function runReplay(): ReplayBenchmarkResult {
  const { env } = SERVERS[SERVERS.length - 1];
  return JSON.parse(runNode(REPLAY, env, 'inherit')) as ReplayBenchmarkResult;
}

function runAll(): Result[] {
  return MEASUREMENTS.flatMap((measurement) => {
    const servers = measurement.onServer ? SERVERS : SERVERS.slice(0, 1);
    return servers.map(({ name, env }) => run(measurement, name, env));
  });
}

function runSeries(env: NodeJS.ProcessEnv): ArchiveBenchmarkResult {
  const args = [...SERIES, ...(isStored ? STORED : [])];
  return JSON.parse(runNode(args, env, 'inherit')) as ArchiveBenchmarkResult;
}

/** The last line that a program prints; what it tells meanwhile goes where `stderr` says. */
function runNode(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  stderr: 'pipe' | 'inherit',
): string {
  const ours = args.map((argument) => (argument === 'HOME' ? home : argument));
  const ended = spawnSync(process.execPath, ours, {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 1_048_576,
    stdio: ['ignore', 'pipe', stderr],
  });
  if (ended.status !== 0) throw new Error(`${args.join(' ')} failed:\n${ended.stderr ?? ''}`);
  return ended.stdout.trim().split('\n').at(-1) ?? '';
}

function writePage(): void {
  const lines = readFileSync(HISTORY, 'utf8').trim().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as Entry);
  const entry = entries.findLast(({ results }) => results.length > 0);
  assert(entry !== undefined, 'the first run that is recorded is a short one');
  const replay = entries.findLast((one) => one.replay !== undefined);
  const stored = entries.findLast((one) => one.results.length === 0 && one.replay === undefined);
  writeFileSync(PAGE, benchmarkPage({ entry, stored, replay }, ROUNDS, showsOf));
}

function showsOf(name: string): readonly string[] {
  return MEASUREMENTS.find((one) => one.name === name)?.shows ?? [];
}

function run(measurement: Measurement, server: string, env: NodeJS.ProcessEnv): Result {
  const rounds: Measured[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const measured = JSON.parse(runNode(measurement.args, env, 'pipe')) as Measured;
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
