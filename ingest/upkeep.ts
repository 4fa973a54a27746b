// What an archiver does for the archive beside recording: partitions ahead of time, a look at what
// the server makes durable, compaction and retention, each in its own time until the archiver
// stops.

import {
  type Durability,
  ensurePartitions,
  type OpenDatabase,
  readDurability,
} from '#archive/mod.ts';
import type { ArchiverLog } from './archiver.ts';
import { Compaction } from './compaction.ts';
import type { CompactionCounters } from './compaction-metrics.ts';
import { repeat } from './repeat.ts';
import {
  keepRetention,
  newRetentionCounters,
  type RetentionCounters,
  type RetentionSettings,
} from './retention-keeper.ts';

/** What is to be kept up, and how. */
export interface UpkeepOptions {
  readonly databaseUrl: string;
  readonly holder: string;
  /** For what takes no time. */
  readonly opened: OpenDatabase;
  /** How often the archive is compacted; 0, or not given: never. */
  readonly compactEveryMs?: number;
  /** What to delete; nothing if not given. */
  readonly retention?: RetentionSettings | undefined;
  /** Whether the database is away, or behind with what the archiver has for it. */
  readonly isBehind: () => boolean;
  readonly signal: AbortSignal;
  readonly log: ArchiverLog;
}

const PARTITIONS_EVERY_MS = 3_600_000;
/** The server may have been given other settings, or be another one. */
const DURABILITY_EVERY_MS = 60_000;

/** Keeps an archive up. Dispose it when its signal has fired: that waits for what is under way. */
export class Upkeep implements AsyncDisposable {
  readonly #options: UpkeepOptions;
  readonly #retention: RetentionCounters = newRetentionCounters();
  readonly #loops: Promise<void>[] = [];
  #durability: Durability = { state: 'durable', reasons: [] };
  #compaction: Compaction | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Whether the database keeps what it commits; up to a minute old. */
  get durability(): Durability {
    return this.#durability;
  }

  /** What was compacted since the start; undefined where it is switched off. */
  get compaction(): Readonly<CompactionCounters> | undefined {
    return this.#compaction?.counters;
  }

  /** What was deleted since the start. */
  get retention(): Readonly<RetentionCounters> {
    return this.#retention;
  }

  /** What must be so before anything is recorded. Rejects if the database does not answer. */
  async prepare(): Promise<void> {
    await this.#makePartitions();
    await this.#checkDurability();
  }

  /** Goes on in the background from here. */
  start(): void {
    const { databaseUrl, holder, compactEveryMs = 0, isBehind, retention } = this.#options;
    const { signal, log } = this.#options;
    const until = { signal, log };
    this.#loops.push(
      repeat(PARTITIONS_EVERY_MS, 'making partitions', () => this.#makePartitions(), until),
      repeat(DURABILITY_EVERY_MS, 'checking durability', () => this.#checkDurability(), until),
    );
    if (retention !== undefined) {
      const kept = { ...retention, databaseUrl, holder, log };
      this.#loops.push(keepRetention(kept, this.#retention, signal));
    }
    if (compactEveryMs === 0) return;
    const compaction = new Compaction({ databaseUrl, holder, isBehind, signal, log });
    this.#compaction = compaction;
    this.#loops.push(repeat(compactEveryMs, 'compacting', () => compaction.pass(), until));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#compaction?.[Symbol.asyncDispose]();
    await Promise.allSettled(this.#loops);
  }

  /** What the server forgets after a crash was never archived, whatever COMMIT said. */
  async #checkDurability(): Promise<void> {
    const { opened, log } = this.#options;
    const before = this.#durability.state;
    this.#durability = await readDurability(opened.database);
    const { state, reasons } = this.#durability;
    if (state === 'degraded') log.warn({ reasons }, 'the archive is not durable');
    else if (before === 'degraded') log.info({}, 'the archive is durable again');
  }

  async #makePartitions(): Promise<void> {
    const { opened, log } = this.#options;
    const { created, blocked } = await ensurePartitions(opened.database, Date.now());
    if (created.length > 0) log.info({ created }, 'partitions made');
    if (blocked.length > 0) log.warn({ blocked }, 'partitions cannot be made');
  }
}
