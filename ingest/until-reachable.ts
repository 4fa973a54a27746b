// Waits for a database that is away when a process starts: machines come up in any order, and after
// a power cut PostgreSQL takes its time.

import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import type { ArchiverLog } from './archiver.ts';

/** Between two attempts: doubling. */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 5_000;

/**
 * Does `work` again and again while the database cannot be reached, and gives what it gives. Says
 * so once, and once more when it is there. Rejects with any other error of `work`, and with
 * the reason of `signal` when that fires; without a signal, at the first failure.
 */
export async function untilReachable<Result>(
  work: () => Promise<Result>,
  signal: AbortSignal | undefined,
  log: ArchiverLog,
): Promise<Result> {
  for (let retryMs = RETRY_MS_MIN; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
    try {
      const result = await work();
      if (retryMs > RETRY_MS_MIN) log.info({}, 'database is there');
      return result;
    } catch (error) {
      const isAway =
        error instanceof BackcastError && error.code === 'BACKCAST_DATABASE_UNREACHABLE';
      if (!isAway || signal === undefined) throw error;
      if (retryMs === RETRY_MS_MIN) {
        log.warn({ reason: error.message }, 'database is away, waiting for it');
      }
    }
    signal.throwIfAborted();
    await delay(retryMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
}
