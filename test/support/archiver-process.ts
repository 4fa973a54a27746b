// Archivers as processes of their own, several on the same channels, which tests kill, freeze and
// cut off.

import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Scene } from './archiving.ts';
import { type RunningCommand, startBackcast } from './cli.ts';
import { createTestFolder } from './folder.ts';
import { until } from './until.ts';

/** An archiver that runs. Disposing kills it. */
export interface ArchiverProcess extends AsyncDisposable {
  readonly name: string;
  /** All log lines so far. */
  readonly lines: readonly string[];
  /** How often it has begun to write the channel, and when it last did, by performance.now(). */
  readonly leading: { count: number; atMs: number };
  /** Sends a signal. */
  signal(signal: NodeJS.Signals): void;
  /** Waits until a log line contains all of `parts`. */
  said(...parts: readonly string[]): Promise<void>;
  /** The value of one of its metrics. */
  metric(name: string): Promise<number>;
  /** Asks it to stop, and waits; its exit code. */
  stop(): Promise<number | null>;
  /** Kills it, and waits. */
  kill(): Promise<void>;
}

/** How an archiver is started. */
export interface ArchiverProcessOptions {
  readonly scene: Scene;
  readonly name: string;
  /** Instead of the scene's. */
  readonly databaseUrl?: string;
  /** The folder of its spool and its configuration; one of its own if not given. */
  readonly home?: string;
  /** Settings beside these. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `backcast archive` and waits until it hears the scene's channel. */
export async function startArchiverProcess(
  options: ArchiverProcessOptions,
): Promise<ArchiverProcess> {
  const { scene, name, args = [], env = {} } = options;
  const folder = options.home === undefined ? await createTestFolder() : undefined;
  const home = join(options.home ?? folder?.path ?? '', name);
  await mkdir(home, { recursive: true });
  const configFile = join(home, 'backcast.yaml');
  const config = {
    home,
    databaseUrl: options.databaseUrl ?? scene.databaseUrl,
    channels: [{ name: scene.channel, ...scene.address }],
    archiver: { name },
    metrics: { port: 0 },
    ...options.config,
  };
  await writeFile(configFile, JSON.stringify(config));
  const command = startBackcast(['archive', '--config', configFile, ...args], { env });
  const archiver = watch(name, command, folder);
  try {
    await archiver.said(`"channel":"${scene.channel}"`, '"group"');
    return archiver;
  } catch (cause) {
    await archiver[Symbol.asyncDispose]();
    throw new Error(`${name} does not record: ${archiver.lines.join('\n')}`, { cause });
  }
}

function watch(
  name: string,
  command: RunningCommand,
  folder: AsyncDisposable | undefined,
): ArchiverProcess {
  const lines: string[] = [];
  const leading = { count: 0, atMs: 0 };
  let isOver = false;
  const closed = once(command, 'close');
  command.once('close', () => {
    isOver = true;
  });
  createInterface(command.stderr).on('line', (line) => {
    lines.push(line);
    if (!line.includes('"msg":"recording"')) return;
    leading.count += 1;
    leading.atMs = performance.now();
  });
  command.stdout.resume();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    command.kill('SIGCONT');
    command.kill(signal);
    await closed;
  };
  const said = async (...parts: readonly string[]): Promise<void> => {
    const hasSaid = (): boolean => {
      if (lines.some((line) => parts.every((part) => line.includes(part)))) return true;
      if (isOver) throw new Error(`${name} has ended:\n${lines.slice(-20).join('\n')}`);
      return false;
    };
    await until(`${name} says ${parts.join(' ')}`, hasSaid, 60_000);
  };
  return {
    name,
    lines,
    leading,
    signal: (signal) => void command.kill(signal),
    said,
    metric: async (metric) => {
      const url = lines.map((line) => /"url":"([^"]+metrics[^"]*)"/.exec(line)?.[1]).find(Boolean);
      const text = await (await fetch(url ?? '')).text();
      const found = new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text);
      return Number(found?.[1]);
    },
    stop: async () => {
      await end('SIGTERM');
      return command.exitCode;
    },
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL');
      await folder?.[Symbol.asyncDispose]();
    },
  };
}
