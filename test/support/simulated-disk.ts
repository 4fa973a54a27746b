// A disk for the spool that keeps what real ones keep and forgets what they may forget: bytes that
// were not synced are, after a crash, there or not, in pieces of 512 bytes, each by chance.

import type { Random } from '#base/mod.ts';
import type { SpoolFile, SpoolStorage } from '#ingest/spool/mod.ts';

const SECTOR_BYTES = 512;

interface StoredFile {
  /** What a reader sees now. */
  written: Buffer;
  /** What survives a crash for certain. */
  synced: Buffer;
}

/** Faults to come. */
export interface DiskFaults {
  /** The next write or sync fails. */
  failWrite: boolean;
  failSync: boolean;
  /** Every write and every sync fails. */
  failAll: boolean;
  /** The folder cannot be listed. */
  unlisted: boolean;
  /** A file that cannot be read, of which nothing is given. */
  unreadable: string | undefined;
  /** Bytes that files may take together. */
  bytesMax: number;
}

/** A disk in memory. */
export class SimulatedDisk {
  readonly faults: DiskFaults = {
    failWrite: false,
    failSync: false,
    failAll: false,
    unlisted: false,
    unreadable: undefined,
    bytesMax: Number.POSITIVE_INFINITY,
  };
  readonly #files = new Map<string, StoredFile>();
  #bootCount = 0;

  /** The names of all files. */
  get names(): string[] {
    return [...this.#files.keys()].toSorted();
  }

  /** The power goes: what was not synced may be gone, and nobody who used the disk goes on. */
  crash(random: Random): void {
    this.#bootCount += 1;
    for (const file of this.#files.values()) {
      const after = Buffer.from(file.synced);
      for (let start = 0; start < file.written.length; start += SECTOR_BYTES) {
        const sector = file.written.subarray(start, start + SECTOR_BYTES);
        if (random() < 0.5) after.set(sector, start);
      }
      file.written = after;
      file.synced = Buffer.from(after);
    }
  }

  /** The process that uses the disk is killed, and what it wrote stays. */
  halt(): void {
    this.#bootCount += 1;
    for (const file of this.#files.values()) file.synced = Buffer.from(file.written);
  }

  /** Turns one bit of a file that nobody writes at the moment. */
  flip(name: string, bit: number): void {
    const { written, synced } = this.#get(name);
    const at = bit >> 3;
    const value = (written[at] ?? 0) ^ (1 << (bit & 7));
    written[at] = value;
    synced[at] = value;
  }

  /** Somebody deletes a file. */
  lose(name: string): void {
    this.#files.delete(name);
  }

  /** The disk as one process sees it, until the next crash. */
  mount(): SpoolStorage {
    const boot = this.#bootCount;
    const now = <Answer>(act: () => Answer): Promise<Answer> => {
      return boot === this.#bootCount ? Promise.try(act) : new Promise(() => undefined);
    };
    const open = (name: string): Promise<SpoolFile> => {
      return now(() => {
        const file = this.#get(name);
        return {
          write: (bytes, start) => now(() => this.#write(file, bytes, start)),
          persist: () => now(() => this.#persist(file)),
          close: () => now(() => undefined),
        };
      });
    };
    return {
      prepare: () => now(() => undefined),
      lock: () => now(() => new AsyncDisposableStack()),
      list: () => now(() => this.#list()),
      read: (name, start, bytesMax) => {
        return now(() => this.#read(name, start, bytesMax));
      },
      create: async (name, fileBytes) => {
        await now(() => this.#create(name, fileBytes));
        return await open(name);
      },
      open,
      rename: (from, to) => now(() => this.#rename(from, to)),
      remove: (name) => now(() => void this.#files.delete(name)),
      persistNames: () => now(() => undefined),
    };
  }

  #list(): string[] {
    if (this.faults.unlisted) throw diskError('EACCES');
    return this.names;
  }

  #read(name: string, start: number, bytesMax: number): Buffer {
    if (name === this.faults.unreadable) throw diskError('EIO');
    return Buffer.from(this.#get(name).written.subarray(start, start + bytesMax));
  }

  #create(name: string, fileBytes: number): void {
    const usedBytes = [...this.#files.values()].reduce((sum, it) => sum + it.written.length, 0);
    if (this.faults.failAll) throw diskError('EIO');
    if (usedBytes + fileBytes > this.faults.bytesMax) throw diskError('ENOSPC');
    this.#files.set(name, { written: Buffer.alloc(fileBytes), synced: Buffer.alloc(fileBytes) });
  }

  #write(file: StoredFile, bytes: Uint8Array, start: number): void {
    const hasFailed = this.faults.failWrite || this.faults.failAll;
    this.faults.failWrite = false;
    const done = hasFailed ? bytes.subarray(0, bytes.length >> 1) : bytes;
    file.written.set(done, start);
    if (hasFailed) throw diskError('EIO');
  }

  #persist(file: StoredFile): void {
    const hasFailed = this.faults.failSync || this.faults.failAll;
    this.faults.failSync = false;
    if (hasFailed) throw diskError('EIO');
    file.synced = Buffer.from(file.written);
  }

  #rename(from: string, to: string): void {
    const file = this.#get(from);
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  #get(name: string): StoredFile {
    const file = this.#files.get(name);
    if (file === undefined) throw diskError('ENOENT');
    return file;
  }
}

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: the simulated disk says no`), { code });
}
