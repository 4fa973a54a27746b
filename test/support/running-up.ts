// `backcast up` as a child process: started, waited for until it says where it is, and stopped in
// order.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type RunningCommand, startBackcast } from './cli.ts';

/** An `up` that runs. */
export interface RunningUp {
  readonly command: RunningCommand;
  /** Where its replay API is. */
  readonly api: string;
}

const STOP_MS_MAX = 5_000;

/** Starts it on the folder `home`; resolves when it serves. */
export async function startUp(
  home: string,
  extra: readonly string[] = ['--demo'],
): Promise<RunningUp> {
  const command = startBackcast(['up', '--home', home, '--port', '0', ...extra]);
  const said: string[] = [];
  for await (const line of createInterface(command.stderr)) {
    said.push(line);
    const api = /replay API {2,}(http:\/\/\S+?)\/v1\/channels/.exec(line)?.[1];
    if (api === undefined) continue;
    command.stderr.resume();
    return { command, api };
  }
  throw new Error(`up did not start: ${said.join('\n')}`);
}

/** Stops it; fails unless it ends cleanly and soon. */
export async function stopUp({ command }: RunningUp): Promise<void> {
  const startedAtMs = performance.now();
  const closed = once(command, 'close');
  command.kill('SIGINT');
  const [exitCode] = (await closed) as [number | null];
  assert.equal(exitCode, 0);
  assert.ok(performance.now() - startedAtMs < STOP_MS_MAX);
}

/** Waits until the channel is archived through `position`; returns through where it is. */
export async function archivedThrough(
  api: string,
  channel: string,
  position: number,
): Promise<number> {
  for (;;) {
    const answer = await fetch(`${api}/v1/channels/${channel}`);
    if (answer.ok) {
      const { archivedThrough: through } = (await answer.json()) as { archivedThrough: number };
      if (through >= position) return through;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
