// Opens PostgreSQL: a pool under Kysely for reading and the small statements, and single
// connections for those who write. Decides how values arrive: bigint as a number that is asserted
// to be safe, timestamptz as microseconds since 1970, bytea as Buffer.

import { Socket } from 'node:net';
import { Kysely, PostgresDialect } from 'kysely';
import type { PostgresPool } from 'kysely';
import { Client, Pool, types } from 'pg';
import type { ClientConfig, CustomTypesConfig } from 'pg';
import { assert, BackcastError, parseInstant, rootMessage } from '#base/mod.ts';
import type { ArchiveTables } from './database-types.ts';
import { plainSocket } from './plain-socket.ts';
import { failureKind, toDatabaseError } from './sqlstate.ts';

/** Kysely over the archive's tables. */
export type ArchiveDatabase = Kysely<ArchiveTables>;

/** A pool of connections. Disposing closes it. */
export interface OpenDatabase extends AsyncDisposable {
  readonly database: ArchiveDatabase;
  /** The same pool, for what Kysely cannot say: binary results, COPY, LISTEN. */
  readonly pool: Pool;
  /**
   * Waits for running statements, then closes every connection; a server that has not answered
   * after GOODBYE_MS_MAX is waited for no longer, and its connections are cut. Idempotent.
   */
  close(): Promise<void>;
}

/** Where to connect, and as what. */
export interface ConnectionOptions {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** The server ends a statement that runs longer. 0: never. */
  readonly statementTimeoutMs: number;
}

/** The same for a pool. */
export interface DatabaseOptions extends ConnectionOptions {
  readonly poolConnectionsMax: number;
  /**
   * A connection on which nothing comes or goes for so long is cut, and what runs on it fails: a
   * server that hangs keeps no time limit of its own. Longer than statementTimeoutMs; for ever if
   * not given.
   */
  readonly silenceMsMax?: number;
}

const CONNECT_MS_MAX = 10_000;
const IDLE_MS_MAX = 30_000;
/** A server that hangs answers nothing, not even a goodbye, and whoever stops has not long. */
const GOODBYE_MS_MAX = 1_000;
const UTC_OFFSET = /([+-]\d{2})$/;

/**
 * Opens a pool; connects at the first statement. A connection that cannot be made is
 * BACKCAST_DATABASE_UNREACHABLE, with host, port and database but never the password. Throws
 * BACKCAST_CONFIG_INVALID for an `url` that is none.
 */
export function openDatabase(options: DatabaseOptions): OpenDatabase {
  const where = describeUrl(options.url);
  const sockets = new Set<Socket>();
  const pool = new Pool({
    ...connectionConfig(options),
    stream: () => trackedSocket(sockets, options.silenceMsMax ?? 0),
    min: 0,
    max: options.poolConnectionsMax,
    idleTimeoutMillis: IDLE_MS_MAX,
    allowExitOnIdle: false,
  });
  // An idle connection that dies is replaced at the next statement: nothing to do, but unheard it
  // kills.
  pool.on('error', () => undefined);
  // One that dies under a statement fails that, and tells whoever listens; the pool does not then.
  pool.on('connect', (client) => client.on('error', () => undefined));
  const database = new Kysely<ArchiveTables>({
    dialect: new PostgresDialect({ pool: explainedPool(pool, where) }),
  });
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    await database.destroy();
    await closePool(pool);
    // The pool says its goodbyes and does not wait for the answers.
    await Promise.all([...sockets].map(closed));
  };
  const close = (): Promise<void> => (closing ??= endInTime(end(), sockets));
  return { database, pool, close, [Symbol.asyncDispose]: close };
}

function explainedPool(pool: Pool, where: string): PostgresPool {
  return {
    options: pool.options,
    connect: async () => {
      try {
        return await pool.connect();
      } catch (error) {
        throw unreachableError(where, error);
      }
    },
    end: () => pool.end(),
  };
}

/** A connection that one writer has for itself. */
export interface DedicatedConnection {
  readonly client: Client;
  /**
   * Cuts it at once; whatever runs on it fails. For a connection that cannot be trusted any more.
   */
  destroy(): void;
  /** What `work` on this connection gives; after `ms` the connection is cut, and it fails. */
  within<Value>(ms: number, work: Promise<Value>): Promise<Value>;
  /** Says goodbye to the server and waits for it, GOODBYE_MS_MAX at most. */
  end(): Promise<void>;
}

/**
 * Connects a connection for a writer. Errors as openDatabase. Given up when `late` fires; what is
 * connected by then is the caller's to end.
 */
export async function connectDedicated(
  options: ConnectionOptions,
  late?: AbortSignal,
): Promise<DedicatedConnection> {
  const where = describeUrl(options.url);
  const socket = new Socket();
  const giveUp = (): void => void socket.destroy();
  const client = new Client({ ...connectionConfig(options), stream: () => socket });
  // Whatever runs when the connection dies is rejected; the notice itself has no other reader.
  client.on('error', () => undefined);
  try {
    late?.addEventListener('abort', giveUp, { once: true });
    await client.connect();
    late?.throwIfAborted();
  } catch (error) {
    socket.destroy();
    throw unreachableError(where, error);
  } finally {
    late?.removeEventListener('abort', giveUp);
  }
  const destroy = giveUp;
  const end = (): Promise<void> => endInTime(client.end(), [socket]);
  const within = async <Value>(ms: number, work: Promise<Value>): Promise<Value> => {
    const timer = setTimeout(destroy, ms);
    try {
      return await work;
    } finally {
      clearTimeout(timer);
    }
  };
  return { client, destroy, end, within };
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function trackedSocket(sockets: Set<Socket>, silenceMsMax: number): Socket {
  const socket = plainSocket();
  socket.setTimeout(silenceMsMax, () => socket.destroy());
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket;
}

/** Waits for `goodbye`; when it takes too long, cuts `sockets`, which ends it. */
async function endInTime(goodbye: Promise<void>, sockets: Iterable<Socket>): Promise<void> {
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const timer = setTimeout(cut, GOODBYE_MS_MAX);
  try {
    await goodbye;
  } finally {
    clearTimeout(timer);
  }
}

function connectionConfig(options: ConnectionOptions): ClientConfig {
  return {
    connectionString: options.url,
    application_name: options.applicationName,
    statement_timeout: options.statementTimeoutMs,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    keepAlive: true,
    types: VALUE_TYPES,
  };
}

async function closePool(pool: Pool): Promise<void> {
  if (!pool.ended && !pool.ending) await pool.end();
}

type TypeOid = Parameters<typeof types.getTypeParser>[0];

const VALUE_TYPES: CustomTypesConfig = {
  getTypeParser: ((oid: TypeOid, format?: 'text' | 'binary') => {
    if (format === 'binary') return types.getTypeParser(oid, 'binary');
    if (oid === types.builtins.INT8) return parseInt8;
    if (oid === types.builtins.TIMESTAMPTZ) return parseTimestamp;
    return types.getTypeParser(oid, 'text');
  }) as CustomTypesConfig['getTypeParser'],
};

function parseInt8(text: string): number {
  const value = Number(text);
  assert(Number.isSafeInteger(value), 'a bigint that is read as a number is a safe integer');
  return value;
}

/** Microseconds of a timestamptz as PostgreSQL prints it in the ISO style. */
export function parseTimestamp(text: string): number {
  const us = parseInstant(text.replace(UTC_OFFSET, '$1:00'));
  assert(us !== undefined, 'a timestamptz of the archive is an instant of the common era');
  return us;
}

/** Host, port, database and user of `url`, for messages: everything but the password. */
export function describeUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^postgres(ql)?:$/.test(parsed.protocol)) {
    throw new BackcastError(
      'BACKCAST_CONFIG_INVALID',
      'DATABASE_URL is not a PostgreSQL URL: write postgres://user:password@host:5432/database ' +
        '(with special characters of the password percent-encoded).',
    );
  }
  const user = parsed.username === '' ? '' : ` as ${decodeURIComponent(parsed.username)}`;
  const host = parsed.hostname === '' ? 'localhost' : parsed.hostname;
  return `${host}:${parsed.port || '5432'}${parsed.pathname}${user}`;
}

/** What PgBouncer says to a setting that it does not know. */
const REFUSED_SETTING = /unsupported startup parameter/;

function unreachableError(where: string, error: unknown): BackcastError {
  const reason = rootMessage(error);
  if (REFUSED_SETTING.test(reason)) return poolerError(where, `it refuses a setting (${reason})`);
  if (failureKind(error) !== 'transient') return toDatabaseError(error, `connecting to ${where}`);
  return new BackcastError(
    'BACKCAST_DATABASE_UNREACHABLE',
    `PostgreSQL at ${where} cannot be reached: ${reason}. ` +
      'Check that it runs there and that DATABASE_URL has the right host, user, password and ' +
      'database.',
    { cause: error },
  );
}

/** The error for a pooler at `where` that cannot be used, because `what`. */
export function poolerError(where: string, what: string): BackcastError {
  return new BackcastError(
    'BACKCAST_POOLER_UNFIT',
    `at ${where} a connection pooler stands before PostgreSQL, and ${what}. ` +
      'Connect to the server itself, or let the pooler keep sessions: pool_mode = session, ' +
      'ignore_startup_parameters = statement_timeout.',
  );
}
