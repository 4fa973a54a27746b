// A PostgreSQL and one that follows it, both of a test's own. The one that follows can be held
// back, stopped and started again.

import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedPostgres, migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import { createTestFolder } from './folder.ts';
import { execute } from './postgres.ts';

/** A migrated server and its replica. Disposing stops both and removes their files. */
export interface ReplicatedServer extends AsyncDisposable {
  readonly url: string;
  /** The same after each restart. */
  readonly replicaUrl: string;
  /** Replays nothing more, and goes on answering. */
  hold(): Promise<void>;
  /** Goes on replaying. */
  release(): Promise<void>;
  stopReplica(): Promise<void>;
  startReplica(): Promise<void>;
  stopPrimary(): Promise<void>;
}

/** Starts both, in folders of their own. */
export async function startReplicatedServer(): Promise<ReplicatedServer> {
  await using resources = new AsyncDisposableStack();
  const { path: homeDir } = resources.use(await createTestFolder());
  const { path: replicaHome } = resources.use(await createTestFolder());
  const first = await startEmbeddedPostgres({ homeDir });
  await migrateToLatest({ url: first.url });
  await first.stop();
  await copyCluster(homeDir, replicaHome);
  const primary = resources.use(await startEmbeddedPostgres({ homeDir }));
  const startFollower = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ homeDir: replicaHome, settings: follow(primary.url) });
  let replica = await startFollower();
  resources.defer(() => replica.stop());
  const owned = resources.move();
  const onReplica = (statement: string): Promise<unknown> => execute(replica.url, statement);
  return {
    url: primary.url,
    replicaUrl: replica.url,
    hold: async () => void (await onReplica('SELECT pg_wal_replay_pause()')),
    release: async () => void (await onReplica('SELECT pg_wal_replay_resume()')),
    stopReplica: () => replica.stop(),
    startReplica: async () => {
      replica = await startFollower();
    },
    stopPrimary: () => primary.stop(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A cluster that is not running is copied by copying its files. */
async function copyCluster(from: string, to: string): Promise<void> {
  await mkdir(join(to, 'postgres'), { recursive: true, mode: 0o700 });
  for (const name of ['data', 'password']) {
    const place = join('postgres', name);
    await cp(join(from, place), join(to, place), { recursive: true });
  }
  await writeFile(join(to, 'postgres', 'data', 'standby.signal'), '');
}

function follow(url: string): Record<string, string> {
  const { hostname, port, username, password } = new URL(url);
  const key = decodeURIComponent(password);
  return {
    primary_conninfo: `host=${hostname} port=${port} user=${username} password=${key}`,
    hot_standby: 'on',
    wal_retrieve_retry_interval: '100ms',
  };
}
