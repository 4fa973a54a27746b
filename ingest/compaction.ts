// Compaction in the background of an archiver: a pass every few minutes, on connections of its own,
// one small piece of work at a time, and none while the archiver itself has trouble with the
// database. What a pass does is the archive's (archive/compact.ts). Several archivers may do it at
// once: they only find less to do.

import { setTimeout as delay } from 'node:timers/promises';
import { compact, openDatabase, type OpenDatabase } from '#archive/mod.ts';
import type { ArchiverLog } from './archiver.ts';
import type { CompactionCounters } from './compaction-metrics.ts';

/** Where to compact, and when not to. */
export interface CompactionSettings {
  readonly databaseUrl: string;
  readonly holder: string;
  /** Whether the database is away, or behind with what the archiver has for it. */
  readonly isBehind: () => boolean;
  readonly signal: AbortSignal;
  readonly log: ArchiverLog;
}

/** The copy of a day takes two, and the merge of a group one. */
const CONNECTIONS_MAX = 3;
/** Freezing the copy of a large day is one statement. */
const STATEMENT_MS_MAX = 600_000;
/** Between two pieces of work, so that it takes a small part of the server's time. */
const PAUSE_MS = 50;
const BEHIND_PAUSE_MS = 1_000;

/** Compacts the archive when told to. */
export class Compaction implements AsyncDisposable {
  readonly #settings: CompactionSettings;
  readonly #opened: OpenDatabase;
  readonly #counters: CompactionCounters = {
    mergedSegments: 0,
    madeSegments: 0,
    rewrittenDays: 0,
    freedBytes: 0,
    movedDays: 0,
    failedPasses: 0,
    lastPassSeconds: 0,
  };

  constructor(settings: CompactionSettings) {
    this.#settings = settings;
    this.#opened = openDatabase({
      url: settings.databaseUrl,
      applicationName: `backcast compaction ${settings.holder}`,
      statementTimeoutMs: STATEMENT_MS_MAX,
      poolConnectionsMax: CONNECTIONS_MAX,
    });
  }

  /** What was done since the start. */
  get counters(): Readonly<CompactionCounters> {
    return this.#counters;
  }

  /** One pass. Errors: BACKCAST_DATABASE_UNREACHABLE, BACKCAST_DATABASE_REFUSED. */
  async pass(): Promise<void> {
    const { signal, log } = this.#settings;
    try {
      const result = await compact(this.#opened, { mayGoOn: () => this.#mayGoOn() });
      const { channels, days, movedDaysMs } = result;
      const counters = this.#counters;
      for (const { mergedSegments, madeSegments } of channels) {
        counters.mergedSegments += mergedSegments;
        counters.madeSegments += madeSegments;
      }
      counters.rewrittenDays += days.length;
      for (const day of days) {
        counters.freedBytes += Math.max(0, day.bytesBefore - day.bytesAfter);
      }
      counters.movedDays += movedDaysMs.length;
      counters.lastPassSeconds = Math.floor(Date.now() / 1000);
      if (movedDaysMs.length > 0) log.info({ days: movedDaysMs.map(dayText) }, 'days moved');
      for (const { startMs, bytesBefore, bytesAfter } of days) {
        log.info({ day: dayText(startMs), bytesBefore, bytesAfter }, 'day rewritten');
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#counters.failedPasses += 1;
      throw error;
    }
  }

  /** Cuts what is on its way after a moment; the archive is then as it was before. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.close();
  }

  async #mayGoOn(): Promise<boolean> {
    const { signal, isBehind } = this.#settings;
    const pause = (pauseMs: number): Promise<void> =>
      delay(pauseMs, undefined, { signal }).catch(() => undefined);
    await pause(PAUSE_MS);
    while (!signal.aborted && isBehind()) await pause(BEHIND_PAUSE_MS);
    return !signal.aborted;
  }
}

function dayText(startMs: number): string {
  return new Date(startMs).toISOString().slice(0, 10);
}
