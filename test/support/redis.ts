// A real Redis for tests: REDIS_URL if it is set, else redis-server or valkey-server from PATH,
// else the Debian packages, unpacked without root into .cache/redis. The server listens on a socket
// in a folder of its own, keeps nothing on disk and ends with its owner. Never a mock.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { fetchDebianPackages, findProgram, lastLine } from './debian-packages.ts';

/** Where the test processes find the Redis of the whole run. */
export const REDIS_VARIABLE = 'TEST_REDIS_URL';

const CACHE = fileURLToPath(new URL('../../.cache/redis', import.meta.url));
const READY_MS_MAX = 10_000;
const PING_EVERY_MS = 10;
const PACKAGES = ['redis-server', 'redis-tools'];

/** A running Redis. Disposing of it ends it and removes its folder. */
export interface TestRedis extends AsyncDisposable {
  /** redis:// or unix:// URL. */
  readonly url: string;
}

/** A Redis whose process a test may stop, pause and start again. */
export interface OwnRedis extends TestRedis {
  /** Process id of the server. */
  readonly pid: number;
  /** Kills the server at once; it forgets everything. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same socket. */
  restart(): Promise<void>;
}

/** The Redis of the whole test run if there is one (REDIS_URL), else one of this file's own. */
export async function startRedisForTests(): Promise<TestRedis> {
  const url = process.env[REDIS_VARIABLE] ?? process.env['REDIS_URL'];
  if (url !== undefined && url !== '') return { url, [Symbol.asyncDispose]: async () => undefined };
  return await startRedis();
}

/**
 * Starts a Redis of the caller's own. Throws one line that says what to install where none can be
 * had.
 */
export async function startRedis(): Promise<OwnRedis> {
  const binary = await findServer();
  const folder = mkdtempSync(join(tmpdir(), 'backcast-redis-'));
  const socket = join(folder, 'redis.sock');
  let server = await launch(binary, folder, socket);
  const removeOnExit = (): void => {
    server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', removeOnExit);
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  };
  return {
    url: `unix://${socket}`,
    get pid(): number {
      return server.pid ?? 0;
    },
    kill,
    async restart(): Promise<void> {
      await kill();
      await rm(socket, { force: true });
      server = await launch(binary, folder, socket);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await kill();
      process.removeListener('exit', removeOnExit);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface ServerBinary {
  readonly path: string;
  /** For LD_LIBRARY_PATH; empty for an installed server. */
  readonly libraries: string;
}

async function launch(binary: ServerBinary, folder: string, socket: string): Promise<ChildProcess> {
  const quiet = ['--port', '0', '--save', '', '--appendonly', 'no', '--daemonize', 'no'];
  const place = ['--unixsocket', socket, '--dir', folder, '--logfile', join(folder, 'redis.log')];
  const libraryPath = [binary.libraries, process.env['LD_LIBRARY_PATH']].filter(Boolean);
  const command = [...dieWithParent(), binary.path, ...quiet, ...place];
  const server = spawn(command[0], command.slice(1), {
    stdio: 'ignore',
    env: { ...process.env, LD_LIBRARY_PATH: libraryPath.join(delimiter) },
  });
  const failed = once(server, 'error').then(([error]) => {
    throw error;
  });
  failed.catch(() => undefined);
  await Promise.race([failed, untilReady(server, socket)]);
  return server;
}

/**
 * Asks with PING rather than reading the log, whose wording differs between versions and set-ups.
 */
async function untilReady(server: ChildProcess, socket: string): Promise<void> {
  const giveUpAtMs = performance.now() + READY_MS_MAX;
  while (!(await answersPing(socket))) {
    if (server.exitCode !== null)
      throw new Error(`redis-server ended with exit code ${server.exitCode} before it was ready`);
    if (performance.now() > giveUpAtMs)
      throw new Error(`redis-server did not answer within ${READY_MS_MAX / 1000} s`);
    await wait(PING_EVERY_MS);
  }
}

async function answersPing(socket: string): Promise<boolean> {
  const redis = new Redis(socket, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

/** Lets the kernel end the server when a test process is killed and cannot do it. */
function dieWithParent(): readonly string[] {
  const setpriv = findProgram('setpriv');
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL'];
}

async function findServer(): Promise<ServerBinary> {
  const installed = findProgram('redis-server') ?? findProgram('valkey-server');
  if (installed !== undefined) return { path: installed, libraries: '' };
  try {
    return await fetchServer();
  } catch (cause) {
    throw new Error(
      'no Redis for the tests: set REDIS_URL or run `apt-get install redis-server` ' +
        `(fetching the Debian packages failed: ${lastLine(cause)})`,
      { cause },
    );
  }
}

async function fetchServer(): Promise<ServerBinary> {
  const packages = await fetchDebianPackages({ names: PACKAGES, cacheFolder: CACHE });
  const path = findProgram('redis-server', packages.binFolders);
  if (path === undefined) throw new Error(`${packages.root} has no redis-server: remove it`);
  return { path, libraries: packages.libraryPath };
}
