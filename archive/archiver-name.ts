// Keeps two archivers of one name apart, and tells whether one is still there. A restarted archiver
// takes its own leases back at once, by name; so two that run under one name would take the
// channels from each other for ever. While an archiver runs, it holds a lock of its name in the
// database, which ends with its connection: at once when its process is killed. A hint, not the
// truth: a lock also ends when the server restarts, and is then taken again. What protects the
// archive is the fence.

import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { BackcastError } from '#base/mod.ts';
import {
  type ArchiveDatabase,
  connectDedicated,
  type DedicatedConnection,
  describeUrl,
  poolerError,
} from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/** The server needs a moment to notice that an archiver that was killed is gone. */
const WAIT_MS_MAX = 3_000;
const RETRY_MS = 100;
/** Beyond the server's own limit, so that its answer comes first when there is one. */
const ANSWER_MS_MAX = 12_000;

/** How often two connections are compared: others may come between. */
const COMPARISONS = 3;

/** The name under which an archiver's connections are known to the server. */
export function archiverName(holder: string): string {
  return `backcast archiver ${holder}`;
}

/**
 * Claims the name `holder` until disposed, again whenever its connection has ended.
 * BACKCAST_LEASE_HELD if another archiver has it; BACKCAST_DATABASE_UNREACHABLE,
 * BACKCAST_POOLER_UNFIT.
 */
export async function claimArchiverName(url: string, holder: string): Promise<AsyncDisposable> {
  const stopping = new AbortController();
  const first = await claimBefore(url, holder, WAIT_MS_MAX);
  const keeping = keepClaimed(first, () => claimBefore(url, holder, 0), stopping.signal);
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await keeping;
    },
  };
}

/** Of these archivers, those whose names nobody claims. */
export async function findUnclaimed(
  database: ArchiveDatabase,
  holders: readonly string[],
): Promise<string[]> {
  if (holders.length === 0) return [];
  try {
    const found = await sql<{ holder: string }>`
      SELECT holder FROM unnest(${[...holders]}::text[]) AS holder
      WHERE NOT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (classid::bigint << 32 | objid::bigint)
              = hashtextextended('backcast archiver ' || holder, 0)
      )`.execute(database);
    return found.rows.map(({ holder }) => holder);
  } catch (error) {
    throw toDatabaseError(error, 'looking for archivers');
  }
}

async function claimBefore(
  url: string,
  holder: string,
  waitMsMax: number,
): Promise<DedicatedConnection> {
  const applicationName = archiverName(holder);
  const connection = await connectDedicated({ url, applicationName, statementTimeoutMs: 10_000 });
  try {
    await assertSession(url, connection);
    for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
      const asking = connection.client.query<{ isOurs: boolean }>(
        `SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "isOurs"`,
        [applicationName],
      );
      const answer = await connection.within(ANSWER_MS_MAX, asking);
      if (answer.rows[0]?.isOurs) return connection;
      if (waitedMs >= waitMsMax) throw nameTaken(holder);
      await delay(RETRY_MS);
    }
  } catch (error) {
    await connection.end().catch(() => undefined);
    throw toDatabaseError(error, 'claiming the name of the archiver');
  }
}

/**
 * A lock is held by a session. Two connections that are open at once are two, unless a pooler lends
 * both the same one in turn.
 */
async function assertSession(url: string, connection: DedicatedConnection): Promise<void> {
  const applicationName = 'backcast pooler check';
  const other = await connectDedicated({ url, applicationName, statementTimeoutMs: 10_000 });
  try {
    for (let comparison = 0; comparison < COMPARISONS; comparison += 1) {
      if ((await backendOf(connection)) !== (await backendOf(other))) continue;
      throw poolerError(describeUrl(url), 'it lends one connection to several sessions in turn');
    }
  } finally {
    await other.end().catch(() => undefined);
  }
}

async function backendOf(connection: DedicatedConnection): Promise<number> {
  const asking = connection.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return (await connection.within(ANSWER_MS_MAX, asking)).rows[0].pid;
}

async function keepClaimed(
  first: DedicatedConnection,
  claim: () => Promise<DedicatedConnection>,
  stopping: AbortSignal,
): Promise<void> {
  let connection: DedicatedConnection | undefined = first;
  while (!stopping.aborted) {
    if (connection !== undefined) await ended(connection, stopping);
    if (stopping.aborted) break;
    connection = await claim().catch(() => undefined);
    if (connection === undefined)
      await delay(RETRY_MS, undefined, { signal: stopping }).catch(() => undefined);
  }
  await connection?.end().catch(() => undefined);
}

/** Returns when the connection has ended or `stopping` fires. */
async function ended({ client }: DedicatedConnection, stopping: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('end', resolve);
  stopping.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  client.off('end', resolve);
}

function nameTaken(holder: string): BackcastError {
  const message =
    `an archiver named ${holder} writes to this database already. ` +
    'Stop it, or give this one a name of its own (archiver.name, BACKCAST_ARCHIVER).';
  return new BackcastError('BACKCAST_LEASE_HELD', message);
}
