// Decides as whom PostgreSQL runs, since it refuses to run as root, and how it learns that we died.
// Answers with the words to put in front of a command; starts nothing itself but short trial runs.
//
//   we are        and                                        postgres runs as
//   not root                                                 ourselves
//   root          the user nobody reaches binaries and home  nobody, by setpriv --reuid
//   root          something on the way is 0700               root that believes to be nobody,
//                                                            in a user namespace, by unshare
//
// setpriv --pdeathsig makes the kernel send SIGINT (a fast, clean shutdown) when the thread that
// started the server is gone, also after SIGKILL, so no orphan keeps the port and the folder.

import { spawnSync } from 'node:child_process';
import { chown, lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackcastError } from '#base/mod.ts';
import { OTHER_WAY } from './binaries.ts';

/** The account that every Linux has and that owns nothing. */
const NOBODY = 65_534;
const TRIAL_MS_MAX = 10_000;

/** How to start a server program. */
export interface Identity {
  readonly how: 'self' | 'nobody' | 'namespace';
  /** Put these words in front of the command. */
  readonly prefix: readonly string[];
}

/**
 * The identity for running `program` on the files below `dir`, which exists; hands the whole of
 * `dir` to that identity. Throws BACKCAST_POSTGRES_START when we are root and nothing else can be
 * had.
 */
export async function chooseIdentity(program: string, dir: string): Promise<Identity> {
  const guard = hasSetpriv() ? ['setpriv', '--pdeathsig', 'INT'] : [];
  if (process.getuid?.() !== 0) return { how: 'self', prefix: guard };
  const switchUser = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  const asNobody = [...guard, ...switchUser];
  const way = dirname(dir);
  if (canRun([...asNobody, program, '--version']) && canRun([...asNobody, 'test', '-x', way])) {
    await giveTo(dir, NOBODY);
    return { how: 'nobody', prefix: asNobody };
  }
  const namespace = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`];
  const asMapped = [...guard, ...namespace];
  if (canRun([...asMapped, program, '--version'])) {
    await giveTo(dir, 0);
    return { how: 'namespace', prefix: asMapped };
  }
  throw new BackcastError(
    'BACKCAST_POSTGRES_START',
    'PostgreSQL does not run as root, the user nobody cannot reach ' +
      `${program} and ${dir}, and this host allows no user namespaces. ` +
      `Run Backcast as another user, or move it out of a private folder, or: ${OTHER_WAY}`,
  );
}

function hasSetpriv(): boolean {
  return canRun(['setpriv', '--version']);
}

function canRun([program, ...args]: readonly string[]): boolean {
  if (program === undefined) return false;
  const options = { cwd: '/', stdio: 'ignore', timeout: TRIAL_MS_MAX } as const;
  return spawnSync(program, args, options).status === 0;
}

async function giveTo(path: string, uid: number): Promise<void> {
  const stats = await lstat(path);
  if (stats.uid !== uid || stats.gid !== uid) await chown(path, uid, uid);
  if (!stats.isDirectory()) return;
  for (const name of await readdir(path)) await giveTo(join(path, name), uid);
}
