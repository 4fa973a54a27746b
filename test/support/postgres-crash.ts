// An embedded server that crashes while others use it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EmbeddedPostgres } from '#archive/mod.ts';

/** PostgreSQL's immediate shutdown: no goodbye, no checkpoint, recovery at the next start. */
export async function crashServer(server: EmbeddedPostgres, homeDir: string): Promise<void> {
  process.kill(await postmasterOf(homeDir), 'SIGQUIT');
  await server.exited;
}

/** The process id of the server whose home is `homeDir`. */
export async function postmasterOf(homeDir: string): Promise<number> {
  const lockFile = await readFile(join(homeDir, 'postgres', 'data', 'postmaster.pid'), 'utf8');
  return Number(lockFile.split('\n')[0]);
}
