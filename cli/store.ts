// The database that a command works on: the configured one, else the embedded server of the home
// folder, which is joined if another command has started it and started for the while of this
// command if not.

import type { OpenDatabase } from '#archive/mod.ts';
import type { CommandContext } from './command.ts';

/** A database to connect to. Disposing stops the embedded server if this command started it. */
export interface Store extends AsyncDisposable {
  /** Holds the password: not for logs. */
  readonly url: string;
  /** The server that this command started, if it did: settles when that ends by itself. */
  readonly exited?: Promise<void>;
}

/**
 * Finds or starts the database. Throws BACKCAST_HOME_UNUSABLE and BACKCAST_POSTGRES_START; says
 * nothing of whether a configured server can be reached.
 */
export async function openStore(context: CommandContext): Promise<Store> {
  const { databaseUrl, home } = context.config;
  const { attachEmbeddedPostgres, startEmbeddedPostgres } = await import('#archive/mod.ts');
  const running = databaseUrl ?? (await attachEmbeddedPostgres(home));
  if (running !== undefined)
    return { url: running, [Symbol.asyncDispose]: () => Promise.resolve() };
  const server = await startEmbeddedPostgres({ homeDir: home, log: context.note });
  return {
    url: server.url,
    exited: server.exited,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** How a command works on the archive. */
export interface ArchiveUse {
  /** The command, for those who look at the server's connections. */
  readonly command: string;
  readonly connectionsMax?: number;
  /** 0: as long as it takes. */
  readonly statementTimeoutMs: number;
}

/** Opens the archive of a command; disposing closes it, and its database as openStore does. */
export async function openArchive(
  context: CommandContext,
  { command, connectionsMax = 1, statementTimeoutMs }: ArchiveUse,
): Promise<OpenDatabase> {
  const { ensureSchema, openDatabase } = await import('#archive/mod.ts');
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openStore(context));
  const opened = resources.use(
    openDatabase({
      url: store.url,
      poolConnectionsMax: connectionsMax,
      applicationName: `backcast ${command}`,
      statementTimeoutMs,
    }),
  );
  await ensureSchema(opened.database);
  const owned = resources.move();
  const close = (): Promise<void> => owned.disposeAsync();
  return { ...opened, close, [Symbol.asyncDispose]: close };
}
