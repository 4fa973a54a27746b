// Keeps two processes, or two threads of one, out of the same folder for as long as one uses it. A
// holder that died does not block: one of this host is looked for by its process id and the time at
// which it started, since ids come again; one that cannot be seen, in another container or on
// another host, has to show that it lives by touching its lock.

import { readFile, readlink, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import { breakStaleLock, createLock, hasErrno, isProcessAlive, removeLock } from '#registry/mod.ts';

const LOCK_NAME = 'lock';
const TOUCH_EVERY_MS = 1_000;
/** A holder that cannot be seen and has not touched its lock for this long is gone. */
const UNTOUCHED_MS_MAX = 5_000;
const LOOK_EVERY_MS = 250;

let lockCount = 0;

/** What a lock file says. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Which processes see each other: those of one kernel and one container. */
  readonly world: string;
  /** When the process started, as its kernel counts. */
  readonly startedAt: string;
}

/**
 * Locks the folder at `path`. Rejects with BACKCAST_SPOOL_UNUSABLE, which names the holder, if
 * somebody has it; takes some seconds to find out of one that cannot be seen.
 */
export async function lockFolder(path: string): Promise<AsyncDisposable> {
  const lockPath = join(path, LOCK_NAME);
  lockCount += 1;
  const own = await ownIdentity();
  const text = `${own.pid} ${own.host} ${own.world} ${own.startedAt} ${lockCount}\n`;
  while (!(await createLock(lockPath, text))) {
    const found = await textOf(lockPath);
    if (found === undefined) continue;
    const isHeld = !(await isGone(lockPath, found, own));
    if ((await textOf(lockPath)) !== found) continue;
    if (isHeld) throw inUse(path, holderOf(found));
    await breakStaleLock(lockPath, text, async (at) => (await textOf(at)) === found, isOld);
  }
  const touching = setInterval(() => {
    const now = new Date();
    void utimes(lockPath, now, now).catch(() => undefined);
  }, TOUCH_EVERY_MS);
  touching.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(touching);
      if ((await textOf(lockPath)) === text) await removeLock(lockPath);
    },
  };
}

async function isGone(lockPath: string, text: string, own: Holder): Promise<boolean> {
  const holder = holderOf(text);
  if (holder.world !== own.world) return await staysUntouched(lockPath, text);
  if (!isProcessAlive(holder.pid)) return true;
  const startedAt = await startOf(holder.pid);
  if (startedAt !== undefined && startedAt !== holder.startedAt) return true;
  // A thread of this process may have been ended, and the process lives on.
  return holder.pid === own.pid && (await staysUntouched(lockPath, text));
}

/** Waits for a touch: no clock but our own is asked. */
async function staysUntouched(lockPath: string, text: string): Promise<boolean> {
  const before = await touchedAt(lockPath);
  for (let waitedMs = 0; waitedMs < UNTOUCHED_MS_MAX; waitedMs += LOOK_EVERY_MS) {
    await delay(LOOK_EVERY_MS);
    if ((await touchedAt(lockPath)) !== before || (await textOf(lockPath)) !== text) return false;
  }
  return true;
}

/** Breaking a stale lock takes no time; who is still at it is gone. */
async function isOld(path: string): Promise<boolean> {
  const text = await textOf(path);
  return text !== undefined && (await staysUntouched(path, text));
}

async function ownIdentity(): Promise<Holder> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const container = await readlink('/proc/self/ns/pid').catch(() => '');
  const world = `${boot.trim()}/${container}`;
  const startedAt = (await startOf(process.pid)) ?? '-';
  return { pid: process.pid, host: hostname(), world: `${hostname()}/${world}`, startedAt };
}

/** When a process started, in ticks of its kernel; undefined where that cannot be known. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name, in brackets, may hold spaces; the start is the twentieth field behind it.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

function holderOf(text: string): Holder {
  const [pid = '', host = 'unknown', world = '', startedAt = ''] = text.trim().split(' ');
  return { pid: Number(pid), host, world, startedAt };
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function touchedAt(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.mtimeMs;
}

function inUse(path: string, { pid, host }: Holder): BackcastError {
  const message =
    `${path} is used by process ${pid} on ${host}. Stop that process, or give this archiver a ` +
    'folder of its own (archiver.spool.dir); two archivers cannot spool into one.';
  return new BackcastError('BACKCAST_SPOOL_UNUSABLE', message);
}
