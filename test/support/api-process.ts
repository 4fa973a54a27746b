// The replay API as a process of its own, with limits that a test chooses.
// `node test/support/api-process.ts DATABASE_URL LIMITS` prints its address and serves until it is
// killed.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '#archive/mod.ts';
import { type ApiLimits, startReplayServer } from '#replay-api/mod.ts';
import { silentLogger } from './replay-api.ts';

/** A running one. Disposing kills it. */
export interface ApiProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

/**
 * Starts one over the database at `databaseUrl`, with `env` on top of that of this process; fails
 * if it ends before it serves.
 */
export async function startApiProcess(
  databaseUrl: string,
  limits: Partial<ApiLimits>,
  env: Readonly<Record<string, string>> = {},
): Promise<ApiProcess> {
  const args = [fileURLToPath(import.meta.url), databaseUrl, JSON.stringify(limits)];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the API has ended with ${code}`);
  });
  ended.catch(() => undefined);
  const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
  return {
    url: line.toString().trim(),
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [url = '', limits = '{}'] = process.argv.slice(2);
  const server = await startReplayServer({
    database: openDatabase({
      url,
      poolConnectionsMax: 8,
      applicationName: 'API of a test',
      statementTimeoutMs: 15_000,
    }),
    logger: silentLogger,
    limits: JSON.parse(limits) as Partial<ApiLimits>,
    host: '127.0.0.1',
    port: 0,
  });
  process.stdout.write(`${server.url}\n`);
}
