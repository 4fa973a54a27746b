// Files of a folder that are either whole or not there. Each is written under a name that says that
// it is not finished, brought to the disk, and only then given its name; so a process that dies, or
// a host, leaves nothing behind that looks whole and is not.

import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackcastError, rootMessage } from '#base/mod.ts';
import type { ExportedFile } from './types.ts';

/** How a file is called that is not finished: its writer's own, should there be two of them. */
const PARTIAL_NAME = /^(.+)\.[0-9a-f]{8}\.partial$/;

/** A file that is being written. */
export interface GrowingFile {
  readonly bytes: number;
  append(chunk: Uint8Array): Promise<void>;
  /** Gives the file its name, when all of it is on the disk. */
  finish(): Promise<ExportedFile>;
  /** Leaves it unfinished. Idempotent, and of no effect after finish. */
  abandon(): Promise<void>;
}

/** A folder for an export. Every failure of the disk is BACKCAST_EXPORT_FOLDER. */
export class DurableFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes the folder if need be. */
  async prepare(): Promise<void> {
    await this.#explained(() => mkdir(this.#path, { recursive: true }));
  }

  /** The names in the folder. */
  async names(): Promise<readonly string[]> {
    return await this.#explained(async () => (await readdir(this.#path)).toSorted());
  }

  /** Removes what was begun and not finished, of the files that `isOwn` says are of the export. */
  async removePartial(isOwn: (name: string) => boolean): Promise<void> {
    for (const name of await this.names()) {
      if (isPartialOf(name, isOwn)) await this.remove(name);
    }
  }

  /** The text of a file; undefined if there is none of this name. */
  async readText(name: string): Promise<string | undefined> {
    return await this.#explained(async () => {
      try {
        return await readFile(join(this.#path, name), 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  /** Writes a small file whole, in the place of one that has this name. */
  async writeText(name: string, text: string): Promise<ExportedFile> {
    const file = await this.create(name);
    try {
      await file.append(Buffer.from(text));
      return await file.finish();
    } finally {
      await file.abandon();
    }
  }

  /** Begins a file. */
  async create(name: string): Promise<GrowingFile> {
    const partial = join(this.#path, `${name}.${randomBytes(4).toString('hex')}.partial`);
    const hash = createHash('sha256');
    const handle = await this.#explained(() => open(partial, 'wx'));
    let bytes = 0;
    let isOpen = true;
    const close = async (): Promise<void> => {
      if (isOpen) await handle.close();
      isOpen = false;
    };
    return {
      get bytes() {
        return bytes;
      },
      append: (chunk) =>
        this.#explained(async () => {
          await writeAll(handle, chunk);
          hash.update(chunk);
          bytes += chunk.length;
        }),
      finish: () =>
        this.#explained(async () => {
          await handle.sync();
          await close();
          await rename(partial, join(this.#path, name));
          await this.#persistNames();
          return { file: name, bytes, sha256: hash.digest('hex') };
        }),
      abandon: close,
    };
  }

  /** Removes a file, if there is one of this name. */
  async remove(name: string): Promise<void> {
    await this.#explained(async () => {
      await rm(join(this.#path, name), { force: true });
      await this.#persistNames();
    });
  }

  async #persistNames(): Promise<void> {
    const folder = await open(this.#path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async #explained<Value>(work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof BackcastError) throw cause;
      throw new BackcastError(
        'BACKCAST_EXPORT_FOLDER',
        `the folder ${this.#path} cannot take the export: ${rootMessage(cause)}`,
        { cause },
      );
    }
  }
}

/** Whether `name` is that of an unfinished file which `isOwn` knows by its name when finished. */
export function isPartialOf(name: string, isOwn: (name: string) => boolean): boolean {
  const [, finished] = PARTIAL_NAME.exec(name) ?? [];
  return finished !== undefined && isOwn(finished);
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done);
    done += bytesWritten;
  }
}
