// Commits the batches of a shard's channels, one transaction at a time over one connection, the
// channels in turn. A batch that fails for a passing reason is tried again verbatim until it
// succeeds; one that is fenced ends its channel here. Decides when to write, not what (batcher) nor
// how (archive/append).

import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import type { AppendResult, ArchiveBatch } from '#archive/mod.ts';

/** A channel that has batches to commit. */
export interface BatchSource {
  /** When its next batch is due; −Infinity if one is waiting. */
  readonly nextDeadlineMs: number;
  /** The next batch, or undefined. `force` asks for the open one whatever its age. */
  pollBatch(nowMs: number, force: boolean): ArchiveBatch | undefined;
  /** `batch`, the last one given out, is durable. */
  committed(batch: ArchiveBatch): void;
  /**
   * The batch was refused for good: another archiver writes this channel, or the server has gone
   * back behind it.
   */
  fenced(batch: ArchiveBatch, isRolledBack: boolean): void;
}

/** What the writer needs from outside. */
export interface ShardWriterOptions {
  readonly append: (batch: ArchiveBatch) => Promise<AppendResult>;
  readonly nowMs: () => number;
  /** The state changed: the database went away, or is back. Told once per change. */
  readonly onDatabase: (state: 'away' | 'back', error?: BackcastError) => void;
}

/**
 * Between two attempts at the same batch: doubling, so that a restarting server is not hammered.
 */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;
/** What setTimeout can take; without a nearer deadline only a wake ends the wait. */
const TIMER_MS_MAX = 2_147_483_647;

/** The commit loop of one shard. */
export class ShardWriter {
  readonly #options: ShardWriterOptions;
  readonly #sources = new Set<BatchSource>();
  #wake: () => void = () => {};
  #isDraining = false;
  #isAway = false;
  #commits = 0;

  constructor(options: ShardWriterOptions) {
    this.#options = options;
  }

  /** Transactions committed so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Whether the last attempt to commit failed for want of the database. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Takes a channel in. */
  add(source: BatchSource): void {
    this.#sources.add(source);
    this.wake();
  }

  /** Lets a channel go; what it holds is no longer asked for. */
  remove(source: BatchSource): void {
    this.#sources.delete(source);
  }

  /** A source may have a batch now. Cheap, and harmless when it has not. */
  wake(): void {
    this.#wake();
  }

  /** From now on everything is due, and `run` returns when all is committed. */
  drain(): void {
    this.#isDraining = true;
    this.wake();
  }

  /**
   * Runs until drained, or until `deadline` fires before that: then false, and what was heard last
   * is not committed. An append that is under way is waited for. Rejects with the first error that
   * no retry mends.
   */
  async run(deadline: AbortSignal): Promise<boolean> {
    for (;;) {
      const work = this.#next();
      if (deadline.aborted) return false;
      if (work !== undefined) await this.#commit(work.source, work.batch, deadline);
      else if (this.#isDraining) return true;
      else await this.#sleep(this.#nextDeadlineMs());
    }
  }

  #next(): { readonly source: BatchSource; readonly batch: ArchiveBatch } | undefined {
    const nowMs = this.#options.nowMs();
    for (const source of this.#sources) {
      const batch = source.pollBatch(nowMs, this.#isDraining);
      if (batch === undefined) continue;
      this.#sources.delete(source);
      this.#sources.add(source);
      return { source, batch };
    }
    return undefined;
  }

  async #commit(source: BatchSource, batch: ArchiveBatch, deadline: AbortSignal): Promise<void> {
    for (let retryMs = RETRY_MS_MIN; ; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        const result = await this.#options.append(batch);
        this.#report('back');
        if (result.outcome === 'committed') {
          this.#commits += 1;
          source.committed(batch);
        } else {
          this.#sources.delete(source);
          source.fenced(batch, result.outcome === 'rolled_back');
        }
        return;
      } catch (error) {
        if (!(error instanceof BackcastError) || !error.isRetryable) throw error;
        this.#report('away', error);
        await delay(retryMs, undefined, { signal: deadline }).catch(() => undefined);
        if (deadline.aborted) return;
      }
    }
  }

  #report(state: 'away' | 'back', error?: BackcastError): void {
    if ((state === 'away') === this.#isAway) return;
    this.#isAway = state === 'away';
    this.#options.onDatabase(state, error);
  }

  #nextDeadlineMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const source of this.#sources) earliestMs = Math.min(earliestMs, source.nextDeadlineMs);
    return earliestMs;
  }

  /** Waits until `untilMs`, or until woken. */
  async #sleep(untilMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const ms = Math.max(0, untilMs - this.#options.nowMs());
    const timer = ms < TIMER_MS_MAX ? setTimeout(resolve, Math.ceil(ms)) : undefined;
    await promise;
    clearTimeout(timer);
    this.#wake = () => {};
  }
}
