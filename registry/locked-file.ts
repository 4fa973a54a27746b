// One small file that several processes of a host read and replace: readers see the old text or the
// new one, never half of either, and only one process at a time replaces it. The lock is a file
// made with O_EXCL that says who holds it; a holder that died is noticed and its lock taken away.
// Knows nothing of what the text means.

import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { BackcastError, rootMessage } from '#base/mod.ts';
import { breakStaleLock, createLock, hasErrno, isProcessAlive, removeLock } from './lock-file.ts';

/**
 * A replacement takes a few milliseconds; a lock this old belongs to a process that hangs or is
 * gone.
 */
const LOCK_AGE_MS_MAX = 10_000;
/**
 * A holder that cannot be seen may live in another container on the same host name; it gets this
 * long.
 */
const LOCK_AGE_MS_MIN = 1_000;
/** Long enough to outlast a lock that has to age first. */
const LOCK_WAIT_MS_MAX = 15_000;
const LOCK_RETRY_MS = 10;
/** Far above any registry that Backcast writes. */
const FILE_BYTES_MAX = 32 * 1_048_576;

let temporaryCount = 0;

/** The text of the file at `path`, or undefined if there is none. Throws BACKCAST_HOME_UNUSABLE. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX)
      throw new BackcastError(
        'BACKCAST_REGISTRY_INVALID',
        `${path} has ${size} bytes, more than any registry (${FILE_BYTES_MAX}); move it away`,
      );
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    if (error instanceof BackcastError) throw error;
    throw unusable(path, error);
  }
}

/**
 * Replaces the text of the file at `path` by what `change` makes of it (undefined: leave it) while
 * no other process does, and returns what `change` returned beside it. When this resolves, the new
 * text is on disk and survives a power cut. Makes the folder if it is missing. Throws
 * BACKCAST_HOME_UNUSABLE when the folder cannot be written or the lock does not become free within
 * 15 s, and what `change` throws.
 */
export async function updateTextFile<Result>(
  path: string,
  change: (text: string | undefined) => {
    readonly text: string | undefined;
    readonly result: Result;
  },
): Promise<Result> {
  const lockPath = `${path}.lock`;
  let lockText: string;
  try {
    await mkdir(dirname(path), { recursive: true });
    lockText = await acquireLock(lockPath);
  } catch (error) {
    throw error instanceof BackcastError ? error : unusable(path, error);
  }
  try {
    const { text, result } = change(await readTextFile(path));
    if (text !== undefined) await replaceFile(path, text, { lockPath, lockText });
    return result;
  } finally {
    await releaseLock(lockPath, lockText);
  }
}

/** Takes the lock and returns the text that stands in it while it is ours. */
async function acquireLock(lockPath: string): Promise<string> {
  temporaryCount += 1;
  const text = `${process.pid} ${hostname()} ${Date.now()} ${temporaryCount}\n`;
  const giveUpAtMs = performance.now() + LOCK_WAIT_MS_MAX;
  while (!(await createLock(lockPath, text))) {
    await breakStaleLock(lockPath, `${process.pid} ${hostname()}\n`, isStale);
    if (performance.now() > giveUpAtMs) throw await lockHeld(lockPath);
    await wait(LOCK_RETRY_MS * (1 + Math.random()));
  }
  return text;
}

async function isStale(lockPath: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(lockPath);
    const ageMs = Date.now() - mtimeMs;
    if (ageMs > LOCK_AGE_MS_MAX) return true;
    if (ageMs < LOCK_AGE_MS_MIN) return false;
    const [pid, host] = (await readFile(lockPath, 'utf8')).trim().split(' ');
    return host === hostname() && !isProcessAlive(Number(pid));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Gives the lock back, unless another process has found us too slow and taken it away. */
async function releaseLock(lockPath: string, lockText: string): Promise<void> {
  if (await holdsLock({ lockPath, lockText })) await removeLock(lockPath);
}

interface HeldLock {
  readonly lockPath: string;
  readonly lockText: string;
}

async function holdsLock({ lockPath, lockText }: HeldLock): Promise<boolean> {
  const text = await readFile(lockPath, 'utf8').catch(() => undefined);
  return text === lockText;
}

async function replaceFile(path: string, text: string, lock: HeldLock): Promise<void> {
  temporaryCount += 1;
  const temporaryPath = `${path}.${process.pid}.${temporaryCount}.tmp`;
  try {
    const file = await open(temporaryPath, 'w', 0o644);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (!(await holdsLock(lock)))
      throw new Error(`the lock ${lock.lockPath} was taken away while it was held`);
    await rename(temporaryPath, path);
    await flushFolder(dirname(path));
  } catch (error) {
    await removeLock(temporaryPath);
    throw unusable(path, error);
  }
}

/** Makes a rename survive a power cut. */
async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function lockHeld(lockPath: string): Promise<BackcastError> {
  const text = await readFile(lockPath, 'utf8').catch(() => '');
  const [pid = 'unknown', host = 'unknown'] = text.trim().split(' ');
  return new BackcastError(
    'BACKCAST_HOME_UNUSABLE',
    `${lockPath} is held by process ${pid} on host ${host} for more than ` +
      `${LOCK_WAIT_MS_MAX / 1000} s; stop that process or remove the file`,
  );
}

function unusable(path: string, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_HOME_UNUSABLE',
    `${path} cannot be used: ${rootMessage(cause)}; give this user write access to its folder ` +
      'or set BACKCAST_HOME to another one',
    { cause },
  );
}
