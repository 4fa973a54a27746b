// A disk that is soon full, for servers that are to meet one: a tmpfs of a given size. Needs root.

import { execFile } from 'node:child_process';
import { statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTestFolder } from './folder.ts';

const run = promisify(execFile);

/** A mounted disk. Disposing unmounts it, whoever still uses it. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Gives it another size. */
  resize(bytes: number): Promise<void>;
  /** Takes all room but `bytesLeft` with one file, whose name is returned. */
  fill(bytesLeft: number): Promise<string>;
}

/** Mounts one of `bytes`. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk> {
  const resources = new AsyncDisposableStack();
  const { path } = resources.use(await createTestFolder());
  await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0755`, 'backcast-test', path]);
  resources.defer(async () => {
    await run('umount', ['--lazy', path]);
  });
  return {
    path,
    resize: async (size) => {
      await run('mount', ['-o', `remount,size=${size}`, path]);
    },
    fill: async (bytesLeft) => {
      const { bavail, bsize } = await statfs(path);
      const file = join(path, 'filler');
      await writeFile(file, Buffer.alloc(Math.max(0, bavail * bsize - bytesLeft)));
      return file;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
