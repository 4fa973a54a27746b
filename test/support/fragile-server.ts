// A PostgreSQL of a test's own that crashes, comes back with what it had committed, and freezes.

import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import { type Scene, setScene } from './archiving.ts';
import { createTestFolder } from './folder.ts';
import { crashServer, freezeServer } from './postgres-crash.ts';

/** A migrated server. Disposing stops it and removes its files. */
export interface FragileServer extends AsyncDisposable {
  /** The same after each restart. */
  readonly url: string;
  /** Its folder, where a test may put what else goes with it. */
  readonly homeDir: string;
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
    homeDir,
    crash: () => crashServer(server, homeDir),
    restart: async () => {
      server = await startEmbeddedPostgres({ homeDir });
    },
    freeze: () => freezeServer(homeDir),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A fragile server with a scene on it. */
export interface FragileScene extends FragileServer {
  readonly scene: Scene;
}

/** Starts a server of its own for a scene. */
export async function setFragileScene(): Promise<FragileScene> {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await startFragileServer());
  const scene = resources.use(await setScene({ databaseUrl: server.url }));
  const owned = resources.move();
  return { ...server, scene, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
