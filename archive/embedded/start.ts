// Starts and stops a PostgreSQL server of our own on the files below a home folder: the database of
// a run that was given no DATABASE_URL, and of the tests. A real server, reached over TCP on
// 127.0.0.1 with a random password. Where its files are: cluster.ts; as whom it runs: identity.ts.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { BackcastError, rootMessage } from '#base/mod.ts';
import { findPostgresBinaries, OTHER_WAY } from './binaries.ts';
import type { PostgresBinaries } from './binaries.ts';
import {
  adoptData,
  clearLockFile,
  clusterPaths,
  forgetPort,
  hasData,
  homeError,
  isReady,
  openLog,
  prepareFolder,
  takePort,
} from './cluster.ts';
import type { ClusterPaths } from './cluster.ts';
import { chooseIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { serverOptions } from './settings.ts';

/** Name of the superuser and of the database. */
const NAME = 'backcast';
/** Long enough for crash recovery of the log that `max_wal_size` allows. */
const START_MS_MAX = 120_000;
/**
 * A clean stop writes a checkpoint; when that takes longer the log is replayed at the next start.
 */
const STOP_MS_MAX = 4_000;
const POLL_MS = 10;
const PORT_TRIES = 3;
const LOG_TAIL_LINES = 4;

/** A running server. Disposing stops it. */
export interface EmbeddedPostgres extends AsyncDisposable {
  /** Connection URL with the password: not for logs. */
  readonly url: string;
  readonly port: number;
  /** Settles when the server process has ended, whoever ended it. */
  readonly exited: Promise<void>;
  /** Stops it within 5 s. Idempotent. */
  stop(): Promise<void>;
}

/** Where it lives and whom to tell. */
export interface EmbeddedPostgresOptions {
  /** Holds the data from one start to the next; made if missing. */
  readonly homeDir: string;
  /** Called with a sentence at each change of state. */
  readonly log?: (sentence: string) => void;
  /** Settings of the server that differ from ours, by name. */
  readonly settings?: Readonly<Record<string, string>>;
}

interface Installation {
  readonly binaries: PostgresBinaries;
  readonly identity: Identity;
  readonly paths: ClusterPaths;
  readonly settings: Readonly<Record<string, string>> | undefined;
}

/**
 * Starts the server, making its files first if there are none, and returns when the database
 * `backcast` accepts connections. Call it from the main thread: the server stops when the calling
 * thread ends. Throws BACKCAST_HOME_UNUSABLE and BACKCAST_POSTGRES_START.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  try {
    return await startServer(options);
  } catch (error) {
    throw error instanceof BackcastError ? error : homeError(options.homeDir, error);
  }
}

async function startServer(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { homeDir, log = () => undefined } = options;
  const paths = clusterPaths(homeDir);
  const binaries = await findPostgresBinaries();
  await prepareFolder(homeDir, paths);
  await clearLockFile(paths);
  const identity = await chooseIdentity(binaries.postgres, paths.dir);
  const installation = { binaries, identity, paths, settings: options.settings };
  if (!(await hasData(paths))) {
    log(`making a PostgreSQL database in ${paths.data}`);
    await makeData(installation);
  }
  const { child, port } = await startOnFreePort(installation);
  const server = runningServer(child, port, await readFile(paths.password, 'utf8'), log);
  try {
    await ensureDatabase(server.url);
  } catch (cause) {
    await server.stop();
    throw startError(`it does not accept connections: ${rootMessage(cause)}`, paths, cause);
  }
  log(`PostgreSQL runs on 127.0.0.1:${port} (process ${child.pid})`);
  return server;
}

/** The URL of an embedded server on `port`. Holds the password: not for logs. */
export function embeddedUrl(port: number, password: string): string {
  return `postgres://${NAME}:${encodeURIComponent(password)}@127.0.0.1:${port}/${NAME}`;
}

async function makeData(installation: Installation): Promise<void> {
  const { binaries, paths } = installation;
  const args = [
    `--pgdata=${paths.dataNew}`,
    `--username=${NAME}`,
    `--pwfile=${paths.password}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ];
  const child = await spawnServerProgram(installation, binaries.initdb, args);
  const exitCode = await exitOf(child);
  if (exitCode !== 0) throw startError(`initdb failed: ${await logTail(paths)}`, paths);
  await adoptData(paths);
}

async function startOnFreePort(
  installation: Installation,
): Promise<{ child: ChildProcess; port: number }> {
  const { binaries, paths, settings } = installation;
  for (let attempt = 1; ; attempt += 1) {
    const port = await takePort(paths);
    const args = ['-D', paths.data, ...serverOptions(port, paths.data, settings)];
    const child = await spawnServerProgram(installation, binaries.postgres, args);
    if (await becomesReady(child, paths)) return { child, port };
    const tail = await logTail(paths);
    await forgetPort(paths);
    if (!tail.includes('Address already in use') || attempt === PORT_TRIES) {
      throw startError(tail, paths);
    }
  }
}

async function spawnServerProgram(
  { identity, paths }: Installation,
  program: string,
  args: readonly string[],
): Promise<ChildProcess> {
  const [first = program, ...rest] = [...identity.prefix, program, ...args];
  const logFile = await openLog(paths);
  try {
    // A session of its own: Ctrl-C in the terminal is for us, who stop the server when all is
    // flushed.
    const child = spawn(first, rest, {
      cwd: '/',
      detached: true,
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      stdio: ['ignore', logFile.fd, logFile.fd],
    });
    await once(child, 'spawn');
    return child;
  } catch (cause) {
    throw startError(`${first} does not start: ${rootMessage(cause)}`, paths, cause);
  } finally {
    await logFile.close();
  }
}

async function becomesReady(child: ChildProcess, paths: ClusterPaths): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    if (hasEnded(child)) return false;
    if (await isReady(paths)) return true;
    await delay(POLL_MS);
  }
  child.kill('SIGKILL');
  await exitOf(child);
  return false;
}

function runningServer(
  child: ChildProcess,
  port: number,
  password: string,
  log: (sentence: string) => void,
): EmbeddedPostgres {
  let isStopping = false;
  const reportExit = async (): Promise<void> => {
    const code = await exitOf(child);
    if (!isStopping) log(`PostgreSQL ended by itself (${code ?? child.signalCode})`);
  };
  const exited = reportExit();
  const stop = async (): Promise<void> => {
    isStopping = true;
    if (!hasEnded(child)) await stopProcess(child);
    await exited;
  };
  return {
    url: embeddedUrl(port, password),
    port,
    exited,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one: safe, but recovers at next
 * start.
 */
async function stopProcess(child: ChildProcess): Promise<void> {
  const exit = exitOf(child);
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    child.kill(signal);
    const patience = new AbortController();
    const late = delay(signal === 'SIGINT' ? STOP_MS_MAX : 500, 'late', {
      signal: patience.signal,
    }).catch(() => 'late');
    const outcome = await Promise.race([exit, late]);
    patience.abort();
    if (outcome !== 'late') return;
  }
  await exit;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (!hasEnded(child)) await once(child, 'exit');
  return child.exitCode;
}

async function ensureDatabase(url: string): Promise<void> {
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  const client = new Client({
    connectionString: maintenance.href,
    connectionTimeoutMillis: 10_000,
  });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [NAME]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
  } finally {
    await client.end();
  }
}

async function logTail(paths: ClusterPaths): Promise<string> {
  const text = await readFile(paths.log, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join(' | ');
}

function startError(what: string, paths: ClusterPaths, cause?: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_POSTGRES_START',
    `the embedded PostgreSQL does not start: ${what}. The whole log: ${paths.log}. ${OTHER_WAY}`,
    { cause },
  );
}
