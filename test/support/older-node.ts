// The oldest Node that the package of the client promises to run on, from its package in the
// registry of npm, kept in .cache for the next run. Never installed.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const VERSION = '22.23.3';
const CACHE = fileURLToPath(new URL('../../.cache', import.meta.url));
const run = promisify(execFile);

/** The path of a Node 22. Fails where there is no way to npm's registry. */
export async function fetchOlderNode(): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(CACHE, `${name}-${VERSION}`);
  const node = join(folder, 'bin/node');
  if (existsSync(node)) return node;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'fetch-'));
  try {
    await run('npm', ['pack', `${name}@${VERSION}`, '--silent', '--pack-destination', work]);
    await run('tar', ['-xzf', join(work, `${name}-${VERSION}.tgz`), '-C', work]);
    await rename(join(work, 'package'), folder).catch((error: unknown) => {
      if (!existsSync(node)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return node;
}
