// Runs the real ./backcast as a child process.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

/** The script that users call. */
export const BACKCAST: string = fileURLToPath(new URL('../../backcast', import.meta.url));

/** A command that runs. */
export type RunningCommand = ChildProcessByStdio<Writable, Readable, Readable>;

/** How a command ended. */
export interface CommandEnd {
  /** Exit code, or the name of the signal that killed it. */
  readonly end: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What surrounds a command besides its arguments. */
export interface CommandSurroundings {
  /** Environment beside PATH and HOME: nothing of the test run gets in unasked. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** The script to run; ./backcast of this project by default. */
  readonly script?: string;
}

/** Starts a command. The caller waits for its end. */
export function startBackcast(
  args: readonly string[],
  { env = {}, cwd = '/', script = BACKCAST }: CommandSurroundings = {},
): RunningCommand {
  const { PATH = '', HOME = '/' } = process.env;
  return spawn(script, args, { cwd, env: { PATH, HOME, ...env }, stdio: 'pipe' });
}

/** Runs a command to its end. */
export async function runBackcast(
  args: readonly string[],
  surroundings: CommandSurroundings = {},
): Promise<CommandEnd> {
  const command = startBackcast(args, surroundings);
  command.stdin.on('error', () => undefined);
  command.stdin.end(surroundings.input ?? '');
  return await endOf(command);
}

/** What a running command prints from now on, and how it ends. */
export async function endOf(command: RunningCommand): Promise<CommandEnd> {
  const closed = once(command, 'close');
  const [stdout, stderr] = await Promise.all([text(command.stdout), text(command.stderr)]);
  await closed;
  return { end: command.exitCode ?? command.signalCode, stdout, stderr };
}
