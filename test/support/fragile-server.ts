// A PostgreSQL of a test's own that crashes, comes back with what it had committed, and freezes.

import { readFile } from 'node:fs/promises';
import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import { createTestFolder } from './folder.ts';
import { crashServer, postmasterOf } from './postgres-crash.ts';

/** A migrated server. Disposing stops it and removes its files. */
export interface FragileServer extends AsyncDisposable {
  /** The same after each restart. */
  readonly url: string;
  /** Ends it at once, in the middle of whatever it does. */
  crash(): Promise<void>;
  /** Starts it again after a crash; resolves when it has recovered. */
  restart(): Promise<void>;
  /** Lets every process of it stand still until disposed: it neither answers nor refuses. */
  freeze(): Promise<AsyncDisposable>;
}

/** Starts one in a folder of its own. */
export async function startFragileServer(): Promise<FragileServer> {
  await using resources = new AsyncDisposableStack();
  const { path: homeDir } = resources.use(await createTestFolder());
  let server = await startEmbeddedPostgres({ homeDir });
  resources.defer(() => server.stop());
  await migrateToLatest({ url: server.url });
  const owned = resources.move();
  return {
    url: server.url,
    crash: () => crashServer(server, homeDir),
    restart: async () => {
      server = await startEmbeddedPostgres({ homeDir });
    },
    freeze: () => freeze(homeDir),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function freeze(homeDir: string): Promise<AsyncDisposable> {
  const postmaster = await postmasterOf(homeDir);
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  const pids = [postmaster, ...children.trim().split(' ').map(Number)];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return {
    async [Symbol.asyncDispose]() {
      // The parent last: it reaps what has ended meanwhile.
      for (const pid of pids.toReversed()) process.kill(pid, 'SIGCONT');
    },
  };
}
