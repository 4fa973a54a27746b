// The processes of `demo outage`: the commands that users run, on a folder of the demo's own, and
// the instance. None outlives the demo.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BackcastError } from '#base/mod.ts';
import type { InstanceOrders } from './instance.ts';
import type { InstanceReport } from './instance-report.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const INSTANCE = fileURLToPath(new URL('./instance.ts', import.meta.url));
/** Settings of the user's own must not reach the demo's processes. */
const ENVIRONMENT = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/' };
const NODE_ARGUMENTS = ['--disable-warning=ExperimentalWarning'];
/** The last lines that a process said, to be shown if it fails. */
const KEPT_LINES = 20;

/** A command that runs. Disposing ends it in order. */
export interface DemoCommand extends AsyncDisposable {
  /** Resolves with the match in the first line to standard error that has one; fails if it ends. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** Ends it in order; resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts `backcast` with these arguments. */
export function startCommand(args: readonly string[]): DemoCommand {
  const child = spawn(process.execPath, [...NODE_ARGUMENTS, MAIN, ...args], {
    env: ENVIRONMENT,
    // Ctrl-C is for the demo, which ends them in their order; a second one would end them at once.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  createInterface(child.stderr).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    for (const hear of waiting) hear(line);
  });
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    await ended;
  };
  return { says, stop, [Symbol.asyncDispose]: stop };

  async function says(pattern: RegExp): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    const hear = (line: string): void => {
      const match = pattern.exec(line);
      if (match !== null) found.resolve(match);
    };
    lines.forEach(hear);
    waiting.add(hear);
    const failed = ended.then(() => {
      throw ending(`backcast ${args.join(' ')}`, lines);
    });
    try {
      return await Promise.race([found.promise, failed]);
    } finally {
      waiting.delete(hear);
      failed.catch(() => undefined);
    }
  }
}

/** An instance that runs. Disposing kills it. */
export interface DemoInstance extends AsyncDisposable {
  /** What it told last; undefined before. */
  readonly latest: InstanceReport | undefined;
  /** Resolves with the first report that `isIt`; fails when the instance ends or `signal` fires. */
  until(isIt: (report: InstanceReport) => boolean, signal: AbortSignal): Promise<InstanceReport>;
  /** Kills it as it stands. */
  kill(): Promise<void>;
}

/** Starts the instance. */
export function startInstance(orders: InstanceOrders): DemoInstance {
  const child = fork(INSTANCE, [JSON.stringify(orders)], {
    env: ENVIRONMENT,
    detached: true,
    execArgv: NODE_ARGUMENTS,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const lines: string[] = [];
  if (child.stderr !== null) {
    createInterface(child.stderr).on('line', (line) => lines.push(line));
  }
  const state: { latest: InstanceReport | undefined } = { latest: undefined };
  child.on('message', (report) => (state.latest = report as InstanceReport));
  const ended = once(child, 'close');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return {
    get latest() {
      return state.latest;
    },
    until: (isIt, signal) => untilReport({ child, ended, lines }, isIt, signal),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

async function untilReport(
  instance: {
    readonly child: ChildProcess;
    readonly ended: Promise<unknown>;
    readonly lines: readonly string[];
  },
  isIt: (report: InstanceReport) => boolean,
  signal: AbortSignal,
): Promise<InstanceReport> {
  const { child, ended, lines } = instance;
  const found = Promise.withResolvers<InstanceReport>();
  const hear = (message: unknown): void => {
    const report = message as InstanceReport;
    if (isIt(report)) found.resolve(report);
  };
  const stop = (): void => found.reject(signal.reason);
  child.on('message', hear);
  signal.addEventListener('abort', stop, { once: true });
  void ended.then(() => found.reject(ending('the instance', lines)));
  try {
    return await found.promise;
  } finally {
    child.off('message', hear);
    signal.removeEventListener('abort', stop);
  }
}

function ending(what: string, lines: readonly string[]): BackcastError {
  return new BackcastError('BACKCAST_DEMO_FAILED', `${what} ended early: ${lines.join(' | ')}`);
}
