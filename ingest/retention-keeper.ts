// Runs retention in the background: every so often, on a connection of its own, beside recording
// and never in its way. Several archivers may do so at once; the steps of a run keep out of each
// other's way. Decides neither what is due nor how it is deleted.

import { setTimeout as delay } from 'node:timers/promises';
import {
  loadRetentionPlan,
  openDatabase,
  type RetentionPolicy,
  type RetentionResult,
  runRetention,
} from '#archive/mod.ts';
import { toError } from '#base/mod.ts';
import type { ArchiverLog } from './archiver.ts';

/** What to keep, and how often to look. */
export interface RetentionSettings {
  readonly policyOf: (channel: string) => RetentionPolicy;
  readonly everyMs: number;
}

/** Numbers of the runs of this process. */
export interface RetentionCounters {
  deletedMessages: number;
  deletedBytes: number;
  /** At the last run: parts of days that are due and stay because of a hold. */
  heldDays: number;
  failedRuns: number;
  /** When the last run that did not fail ended, in seconds since 1970; 0 before. */
  ranAtSeconds: number;
}

/** What a keeper is made of. */
export interface RetentionKeeperOptions extends RetentionSettings {
  readonly databaseUrl: string;
  readonly holder: string;
  readonly log: ArchiverLog;
}

/** Until the first run, at most: an archiver that is restarted every hour deletes as well. */
const FIRST_RUN_MS_MAX = 60_000;
/** Archivers that were started together do not go on in step. */
const JITTER = 0.1;

/** New counters, all zero. */
export function newRetentionCounters(): RetentionCounters {
  return { deletedMessages: 0, deletedBytes: 0, heldDays: 0, failedRuns: 0, ranAtSeconds: 0 };
}

/** Runs retention until `signal` is aborted; a run that fails is logged and followed by others. */
export async function keepRetention(
  options: RetentionKeeperOptions,
  counters: RetentionCounters,
  signal: AbortSignal,
): Promise<void> {
  const { everyMs } = options;
  let waitMs = Math.min(everyMs, FIRST_RUN_MS_MAX) * Math.random();
  for (;;) {
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await runOnce(options, counters, signal);
    } catch (error) {
      counters.failedRuns += 1;
      options.log.warn({ reason: toError(error).message }, 'deleting old messages fails');
    }
    waitMs = everyMs * (1 - JITTER + 2 * JITTER * Math.random());
  }
}

async function runOnce(
  { databaseUrl, holder, policyOf, log }: RetentionKeeperOptions,
  counters: RetentionCounters,
  signal: AbortSignal,
): Promise<void> {
  await using opened = openDatabase({
    url: databaseUrl,
    applicationName: `backcast retention ${holder}`,
    statementTimeoutMs: 60_000,
    poolConnectionsMax: 1,
  });
  const plan = await loadRetentionPlan(opened.database, { policyOf });
  const result = await runRetention(opened.database, plan, {
    signal,
    onProgress: ({ messages, bytes }) => {
      counters.deletedMessages += messages;
      counters.deletedBytes += bytes;
    },
  });
  counters.heldDays = result.heldDays;
  counters.ranAtSeconds = Math.floor(Date.now() / 1000);
  logRun(result, log);
}

function logRun({ isElsewhere, ...amounts }: RetentionResult, log: ArchiverLog): void {
  if (amounts.messages > 0) log.info(amounts, 'old messages deleted');
  else if (amounts.heldDays > 0) log.info(amounts, 'old messages are held');
  if (amounts.busyDays > 0 && !isElsewhere)
    log.warn(amounts, 'old messages stay, their tables are in use');
}
