// `backcast archive` as operators run it, for tests that kill it: a process of its own with a home
// folder, a configuration file and metrics, and what it says kept for when something goes wrong.

import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type RunningCommand, startBackcast } from './cli.ts';

/** What to run. */
export interface ArchiverProcessOptions {
  /** Home folder: configuration file and spool. */
  readonly homeDir: string;
  readonly databaseUrl: string;
  /** The rest of the configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Environment beside what commands need. */
  readonly env?: Readonly<Record<string, string>>;
}

/** An archiver that runs, or has ended. Disposing kills it. */
export interface ArchiverProcess extends AsyncDisposable {
  readonly pid: number;
  /** Monotonic time of its start. */
  readonly startedAtMs: number;
  /** Resolves with true when it records `channel`, with false if it ends before that. */
  records(channel: string): Promise<boolean>;
  /** Whether it has ended, and how: an exit code or the name of a signal. */
  readonly end: number | NodeJS.Signals | undefined;
  /** Resolves with how it ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Kills it at once. */
  kill(): Promise<void>;
  /** Asks it to stop, and resolves with how it ended. */
  stop(): Promise<number | NodeJS.Signals>;
  /** A number of its metrics by name, summed over channels; undefined before it has any. */
  metric(name: string): Promise<number | undefined>;
  /** Most memory it has had so far, in bytes. */
  residentBytesMost(): Promise<number>;
  /** Memory it has now, in bytes. */
  residentBytes(): Promise<number>;
  /** The last lines that it has said. */
  readonly said: readonly string[];
}

const SAID_LINES_MAX = 1_000;

/** Starts it. It need not record yet when this returns. */
export async function startArchiverProcess(
  options: ArchiverProcessOptions,
): Promise<ArchiverProcess> {
  const { homeDir, databaseUrl, config, env = {} } = options;
  const file = join(homeDir, 'backcast.yaml');
  await writeFile(
    file,
    JSON.stringify({ home: homeDir, databaseUrl, metrics: { port: 0 }, ...config }),
  );
  const startedAtMs = performance.now();
  const command = startBackcast(['archive', '--config', file], { env });
  command.stdout.resume();
  return watchArchiver(command, startedAtMs);
}

function watchArchiver(command: RunningCommand, startedAtMs: number): ArchiverProcess {
  const said: string[] = [];
  const lookers = new Set<() => void>();
  const ended = once(command, 'close').then(
    () => command.exitCode ?? command.signalCode ?? 'SIGKILL',
  );
  let metricsUrl: string | undefined;
  createInterface(command.stderr).on('line', (line) => {
    said.push(line);
    if (said.length > SAID_LINES_MAX) said.shift();
    metricsUrl ??= /"url":"(http[^"]+metrics)"/.exec(line)?.[1];
    for (const look of lookers) look();
  });
  void ended.then(() => lookers.forEach((look) => look()));
  const endNow = (): number | NodeJS.Signals | undefined =>
    command.exitCode ?? command.signalCode ?? undefined;
  const finish = async (signal: NodeJS.Signals): Promise<number | NodeJS.Signals> => {
    command.kill(signal);
    return await ended;
  };
  return {
    pid: command.pid ?? 0,
    startedAtMs,
    said,
    ended,
    get end() {
      return endNow();
    },
    records: (channel) =>
      new Promise((resolve) => {
        const look = (): void => {
          const isRecording = said.some(
            (line) => line.includes('"recording"') && line.includes(`"${channel}"`),
          );
          if (!isRecording && endNow() === undefined) return;
          lookers.delete(look);
          resolve(isRecording);
        };
        lookers.add(look);
        look();
      }),
    kill: async () => void (await finish('SIGKILL')),
    stop: () => finish('SIGTERM'),
    metric: async (name) => (metricsUrl === undefined ? undefined : readMetric(metricsUrl, name)),
    residentBytesMost: () => readStatus(command.pid ?? 0, 'VmHWM'),
    residentBytes: () => readStatus(command.pid ?? 0, 'VmRSS'),
    [Symbol.asyncDispose]: async () => void (await finish('SIGKILL')),
  };
}

/** Undefined where the process has ended or has not counted yet. */
async function readMetric(url: string, name: string): Promise<number | undefined> {
  const text = await fetch(url).then(
    (answer) => answer.text(),
    () => '',
  );
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  if (values.length === 0) return undefined;
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

async function readStatus(pid: number, field: 'VmHWM' | 'VmRSS'): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  return Number(kibibytes) * 1_024;
}
