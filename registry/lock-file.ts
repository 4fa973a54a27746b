// A file made with O_EXCL that says which process holds what: the part that short locks (of a file
// that is being replaced) and long ones (of a folder in use) have in common. When a lock is stale
// is for its owner to say.

import { open, unlink } from 'node:fs/promises';
import { toError } from '#base/mod.ts';

/** Makes the lock file with `text` in it; false if there is one already. */
export async function createLock(lockPath: string, text: string): Promise<boolean> {
  try {
    const file = await open(lockPath, 'wx', 0o644);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Removes the lock if `isStale` says so of its path. Two processes that both saw the dead holder
 * must not remove one after the other, as the second would remove the lock that the first has just
 * taken; so the removal has a lock of its own, `isBreakStale` if its holder is gone, and looks
 * again once it holds it.
 */
export async function breakStaleLock(
  lockPath: string,
  text: string,
  isStale: (path: string) => Promise<boolean>,
  isBreakStale: (path: string) => Promise<boolean> = isStale,
): Promise<void> {
  if (!(await isStale(lockPath))) return;
  const breakPath = `${lockPath}.break`;
  if (!(await createLock(breakPath, text))) {
    if (await isBreakStale(breakPath)) await removeLock(breakPath);
    return;
  }
  try {
    if (await isStale(lockPath)) await removeLock(lockPath);
  } finally {
    await removeLock(breakPath);
  }
}

/** Removes a file, which may be gone already. */
export async function removeLock(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw toError(error);
  }
}

/** Whether a process of this host, as far as this one can see it, runs. */
export function isProcessAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasErrno(error, 'ESRCH');
  }
}

/** Whether `error` is the system's error `code`. */
export function hasErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
