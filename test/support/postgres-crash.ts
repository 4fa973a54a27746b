// An embedded server that crashes, or stands still, while others use it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmbeddedPostgres } from '#archive/mod.ts';

/** PostgreSQL's immediate shutdown: no goodbye, no checkpoint, recovery at the next start. */
export async function crashServer(server: EmbeddedPostgres, homeDir: string): Promise<void> {
  process.kill(await postmasterOf(homeDir), 'SIGQUIT');
  await server.exited;
}

/** Stops every process of the server where it stands, until disposed: it answers nothing. */
export async function freezeServer(homeDir: string): Promise<AsyncDisposable> {
  const postmaster = await postmasterOf(homeDir);
  // The parent first and again last: while it stands still it neither starts children nor reaps
  // those that have ended, so that each of these numbers stays the one of its process.
  process.kill(postmaster, 'SIGSTOP');
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  const frozen = new Set([...children.trim().split(' ').map(Number), postmaster]);
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  return {
    async [Symbol.asyncDispose]() {
      for (const pid of frozen) process.kill(pid, 'SIGCONT');
      frozen.clear();
    },
  };
}

/** The process id of the server whose home is `homeDir`. */
export async function postmasterOf(homeDir: string): Promise<number> {
  const lockFile = await readFile(join(homeDir, 'postgres', 'data', 'postmaster.pid'), 'utf8');
  return Number(lockFile.split('\n')[0]);
}
