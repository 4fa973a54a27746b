// Finds an embedded server that another process of this host has started in the same home, so that
// a command in a second terminal works on the same data.

import { readFile } from 'node:fs/promises';
import { clusterPaths, isReady, isRunning } from './cluster.ts';
import { embeddedUrl } from './start.ts';

/**
 * The URL of the server that runs in `homeDir` and accepts connections, or undefined if none does.
 * The URL holds the password: not for logs. Only who may read the home can attach.
 */
export async function attachEmbeddedPostgres(homeDir: string): Promise<string | undefined> {
  const paths = clusterPaths(homeDir);
  if (!(await isRunning(paths)) || !(await isReady(paths))) return undefined;
  const [password, port] = await Promise.all([
    readFile(paths.password, 'utf8'),
    readFile(paths.port, 'utf8'),
  ]);
  return embeddedUrl(Number(port), password);
}
