// The files of the embedded server below the home folder, and the state they can be in:
//
//   postgres/password    made first, 0600, never changed
//   postgres/data        made by initdb under another name and renamed when complete, so that a
//                        start that is cut short leaves nothing half made
//   postgres/port        the port of the last start, taken again if it is free
//   postgres/server.log  what the server prints; the previous one is kept once
//
// Does not run the server itself (start.ts).

import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError, toError } from '#base/mod.ts';

/** Where the files are; absolute paths. */
export interface ClusterPaths {
  readonly dir: string;
  readonly data: string;
  readonly dataNew: string;
  readonly password: string;
  readonly port: string;
  readonly log: string;
}

const LOG_BYTES_MAX = 8 * 1_048_576;
const OTHER_SERVER_MS_MAX = 6_000;
const POLL_MS = 20;

/** The paths below `homeDir`. */
export function clusterPaths(homeDir: string): ClusterPaths {
  const dir = join(resolve(homeDir), 'postgres');
  return {
    dir,
    data: join(dir, 'data'),
    dataNew: join(dir, 'data.new'),
    password: join(dir, 'password'),
    port: join(dir, 'port'),
    log: join(dir, 'server.log'),
  };
}

/** Makes the folder and the password, and removes what a start that was cut short left behind. */
export async function prepareFolder(homeDir: string, paths: ClusterPaths): Promise<void> {
  await makeFolders(resolve(homeDir));
  await mkdir(paths.dir, { mode: 0o700 }).catch(ignoreExisting);
  const secret = randomBytes(24).toString('base64url');
  await writeFile(paths.password, secret, { mode: 0o600, flag: 'wx' }).catch(ignoreExisting);
  await rm(paths.dataNew, { recursive: true, force: true });
}

/** What a failure of any file below the home folder means to the user. */
export function homeError(homeDir: string, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_HOME_UNUSABLE',
    `the home folder ${resolve(homeDir)} cannot be used: ${toError(cause).message}. ` +
      'Set BACKCAST_HOME to a folder that belongs to this user.',
    { cause },
  );
}

/** Not mkdir's own `recursive`, which in Node 24 never returns for a folder in /proc. */
async function makeFolders(dir: string): Promise<void> {
  const isFolder = await stat(dir).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (isFolder) return;
  if (dirname(dir) !== dir) await makeFolders(dirname(dir));
  await mkdir(dir, { mode: 0o755 }).catch(ignoreExisting);
}

/** Whether initdb has run to its end here. */
export async function hasData(paths: ClusterPaths): Promise<boolean> {
  return stat(join(paths.data, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
}

/** Puts what initdb made in its place: from here on hasData. */
export async function adoptData(paths: ClusterPaths): Promise<void> {
  await rename(paths.dataNew, paths.data);
}

/** The log file, open for appending; one that has grown large is set aside first. */
export async function openLog(paths: ClusterPaths): Promise<FileHandle> {
  const bytes = await stat(paths.log).then(
    (stats) => stats.size,
    () => 0,
  );
  if (bytes > LOG_BYTES_MAX) await rename(paths.log, `${paths.log}.1`);
  return open(paths.log, 'a', 0o600);
}

/** The remembered port if it is free, else any free one; remembered from now on. */
export async function takePort(paths: ClusterPaths): Promise<number> {
  const remembered = Number(await readFile(paths.port, 'utf8').catch(() => '0'));
  const port = (await freePort(remembered)) ?? (await freePort(0));
  if (port === undefined) {
    throw new BackcastError('BACKCAST_POSTGRES_START', 'no TCP port of 127.0.0.1 is free.');
  }
  await writeFile(paths.port, `${port}\n`, { mode: 0o600 });
  return port;
}

/** Forgets the port: somebody else took it between the trial and the start. */
export async function forgetPort(paths: ClusterPaths): Promise<void> {
  await rm(paths.port, { force: true });
}

async function freePort(port: number): Promise<number | undefined> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) return undefined;
  return new Promise((resolvePort) => {
    const server = createServer();
    server.once('error', () => resolvePort(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolvePort(bound));
    });
  });
}

/**
 * Returns when no server runs on these files. One that is on its way down (its parent was killed)
 * is waited for; a lock file whose process is gone, or is another program that got the same number,
 * is removed. Throws BACKCAST_POSTGRES_START when a server stays.
 */
export async function clearLockFile(paths: ClusterPaths): Promise<void> {
  const lockFile = join(paths.data, 'postmaster.pid');
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const pid = await readLockPid(lockFile);
    if (pid === undefined) return;
    if (!(await isServerOn(pid, paths.data))) {
      await rm(lockFile, { force: true });
      return;
    }
    if (waitedMs >= OTHER_SERVER_MS_MAX) {
      throw new BackcastError(
        'BACKCAST_POSTGRES_START',
        `another Backcast already uses ${paths.dir} (its PostgreSQL is process ${pid}). ` +
          'Stop it first, or set BACKCAST_HOME to another folder.',
      );
    }
    await delay(POLL_MS);
  }
}

/** Whether a server runs on these files, whoever started it. */
export async function isRunning(paths: ClusterPaths): Promise<boolean> {
  const pid = await readLockPid(join(paths.data, 'postmaster.pid'));
  return pid !== undefined && (await isServerOn(pid, paths.data));
}

/** Whether the server has written that it accepts connections. */
export async function isReady(paths: ClusterPaths): Promise<boolean> {
  const text = await readFile(join(paths.data, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n')[7]?.trim() === 'ready';
}

async function readLockPid(lockFile: string): Promise<number | undefined> {
  const text = await readFile(lockFile, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const pid = Number(text.split('\n')[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : 0;
}

async function isServerOn(pid: number, dataDir: string): Promise<boolean> {
  if (pid === 0) return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return commandLine.includes(dataDir);
}

function ignoreExisting(error: unknown): void {
  const known = toError(error);
  if (!('code' in known) || known.code !== 'EEXIST') throw known;
}
