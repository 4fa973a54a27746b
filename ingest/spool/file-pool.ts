// The files of a spool before and after they hold something. Making one takes time and may find the
// disk full, so some are kept: one that is to take what must not wait for room, and one that was
// given back and is used again.

import { hasErrno } from '#registry/mod.ts';
import type { SpoolFile, SpoolStorage } from './storage.ts';

/** What a pool is made of. */
export interface FilePoolOptions {
  readonly storage: SpoolStorage;
  readonly fileBytes: number;
  /** Files at most, those in use and the spare ones. */
  readonly filesMax: number;
}

/** Names of spare files. */
const SPARE_NAMES = ['spare-1.spool-file', 'spare-2.spool-file'] as const;

/** The spare files of one spool. */
export class FilePool {
  readonly #options: FilePoolOptions;
  #spares: string[] = [];
  #isDiskFull = false;

  constructor(options: FilePoolOptions) {
    this.#options = options;
  }

  /** Files that wait to be used. */
  get spareCount(): number {
    return this.#spares.length;
  }

  /** Whether the last file that was to be made found no room. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  /** Takes over the spare files among `names`. */
  takeOver(names: readonly string[]): void {
    this.#spares = SPARE_NAMES.filter((name) => names.includes(name));
  }

  /** A file called `name`, beside `usedCount` others; rejects with what the disk says. */
  async take(name: string, usedCount: number): Promise<SpoolFile> {
    const { storage, fileBytes, filesMax } = this.#options;
    await storage.remove(name);
    const mayMake = usedCount + this.#spares.length < filesMax;
    if (this.#spares.length < SPARE_NAMES.length && mayMake) {
      try {
        return await storage.create(name, fileBytes);
      } catch (error) {
        this.#noteFull(error);
        if (this.#spares.length === 0) throw error;
      }
    }
    const spare = this.#spares.pop() ?? '';
    await storage.rename(spare, name);
    return await storage.open(name);
  }

  /** The file called `name` is not used any more; `usedCount` others are. */
  async give(name: string, usedCount: number): Promise<void> {
    const { storage, filesMax } = this.#options;
    const free = SPARE_NAMES.find((spare) => !this.#spares.includes(spare));
    this.#isDiskFull = false;
    if (free === undefined || usedCount + this.#spares.length >= filesMax) {
      return await storage.remove(name);
    }
    await storage.rename(name, free);
    this.#spares.push(free);
  }

  /** Makes sure that a file is spare, beside `usedCount` in use; rejects if the disk has none. */
  async reserve(usedCount: number): Promise<void> {
    const { storage, fileBytes, filesMax } = this.#options;
    const [name] = SPARE_NAMES;
    if (this.#spares.length > 0 || usedCount >= filesMax) return;
    try {
      const file = await storage.create(name, fileBytes);
      await file.close();
    } catch (error) {
      this.#noteFull(error);
      throw error;
    }
    this.#spares.push(name);
  }

  /** Somebody may have made room. */
  forgetFull(): void {
    this.#isDiskFull = false;
  }

  #noteFull(error: unknown): void {
    this.#isDiskFull ||= hasErrno(error, 'ENOSPC') || hasErrno(error, 'EDQUOT');
  }
}
