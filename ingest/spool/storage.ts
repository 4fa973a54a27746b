// What the spool asks of a disk, and the real disk behind it. The interface is small so that disks
// that are full, fail or lie can stand in its place.

import { open, mkdir, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { lockFolder } from './folder-lock.ts';

/** A file of the spool, open for writing. */
export interface SpoolFile {
  /** Writes all of `bytes` at `start`. */
  write(bytes: Uint8Array, start: number): Promise<void>;
  /** Returns when everything written is on the disk. After a failure nothing is known of it. */
  persist(): Promise<void>;
  close(): Promise<void>;
}

/** The folder of a spool. */
export interface SpoolStorage {
  /** Makes the folder if need be. */
  prepare(): Promise<void>;
  /** Keeps other processes out until disposed. */
  lock(): Promise<AsyncDisposable>;
  list(): Promise<string[]>;
  /** The file's bytes from `start` on, `bytesMax` of them or what there is. */
  read(name: string, start: number, bytesMax: number): Promise<Buffer>;
  /** Makes a file of `fileBytes` zeros, really taken from the disk, and syncs file and folder. */
  create(name: string, fileBytes: number): Promise<SpoolFile>;
  /** Opens an existing file for writing. */
  open(name: string): Promise<SpoolFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Returns when the folder's names are on the disk. */
  persistNames(): Promise<void>;
}

const FILL_BYTES = 1_048_576;

/** The storage in the folder at `path`. */
export function diskStorage(path: string): SpoolStorage {
  const at = (name: string): string => join(path, name);
  const persistNames = async (): Promise<void> => {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  };
  return {
    prepare: async () => void (await mkdir(path, { recursive: true, mode: 0o700 })),
    lock: () => lockFolder(path),
    list: () => readdir(path),
    read: async (name, start, bytesMax) => {
      const handle = await open(at(name), 'r');
      try {
        return await readAll(handle, start, bytesMax);
      } finally {
        await handle.close();
      }
    },
    create: async (name, fileBytes) => {
      const handle = await open(at(name), 'wx+', 0o600);
      try {
        await fill(handle, fileBytes);
        await handle.sync();
        await persistNames();
        return diskFile(handle);
      } catch (error) {
        await handle.close();
        await rm(at(name), { force: true });
        throw error;
      }
    },
    open: async (name) => diskFile(await open(at(name), 'r+')),
    rename: (from, to) => rename(at(from), at(to)),
    remove: (name) => rm(at(name), { force: true }),
    persistNames,
  };
}

/** Zeros, not a hole: a disk that is full says so now and not when an entry is written. */
async function fill(handle: FileHandle, fileBytes: number): Promise<void> {
  const zeros = Buffer.alloc(Math.min(FILL_BYTES, fileBytes));
  for (let start = 0; start < fileBytes; start += zeros.length) {
    await writeAll(handle, zeros.subarray(0, Math.min(zeros.length, fileBytes - start)), start);
  }
}

function diskFile(handle: FileHandle): SpoolFile {
  return {
    write: (bytes, start) => writeAll(handle, bytes, start),
    persist: () => handle.datasync(),
    close: () => handle.close(),
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, start + done);
    done += bytesWritten;
  }
}

async function readAll(handle: FileHandle, start: number, bytesMax: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(bytesMax);
  for (let done = 0; ; ) {
    const { bytesRead } = await handle.read(bytes, done, bytesMax - done, start + done);
    done += bytesRead;
    if (bytesRead === 0 || done === bytesMax) return bytes.subarray(0, done);
  }
}
