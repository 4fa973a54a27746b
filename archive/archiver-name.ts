// Keeps two archivers of one name apart. A restarted archiver takes its own leases back at once, by
// name; so two that run under one name would take the channels from each other for ever. While an
// archiver runs, it holds a lock of its name in the database. A hint, not the truth: a lock ends
// with its connection, also when the server restarts. What protects the archive is the fence.

import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import { connectDedicated } from './connect.ts';
import { toDatabaseError } from './sqlstate.ts';

/** The server needs a moment to notice that an archiver that was killed is gone. */
const WAIT_MS_MAX = 3_000;
const RETRY_MS = 100;
/** Beyond the server's own limit, so that its answer comes first when there is one. */
const ANSWER_MS_MAX = 12_000;

/**
 * Claims the name `holder` until disposed. BACKCAST_LEASE_HELD if another archiver has it;
 * BACKCAST_DATABASE_UNREACHABLE.
 */
export async function claimArchiverName(url: string, holder: string): Promise<AsyncDisposable> {
  const applicationName = `backcast archiver ${holder}`;
  const connection = await connectDedicated({ url, applicationName, statementTimeoutMs: 10_000 });
  const dispose = (): Promise<void> => connection.end().catch(() => undefined);
  try {
    for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
      const asking = connection.client.query<{ isOurs: boolean }>(
        `SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "isOurs"`,
        [applicationName],
      );
      const answer = await connection.within(ANSWER_MS_MAX, asking);
      if (answer.rows[0]?.isOurs) return { [Symbol.asyncDispose]: dispose };
      if (waitedMs >= WAIT_MS_MAX) throw nameTaken(holder);
      await delay(RETRY_MS);
    }
  } catch (error) {
    await dispose();
    throw toDatabaseError(error, 'claiming the name of the archiver');
  }
}

function nameTaken(holder: string): BackcastError {
  const message =
    `an archiver named ${holder} writes to this database already. ` +
    'Stop it, or give this one a name of its own (archiver.name, BACKCAST_ARCHIVER).';
  return new BackcastError('BACKCAST_LEASE_HELD', message);
}
