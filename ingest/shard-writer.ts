// Commits the batches of a shard's channels, the channels in turn, of each one batch at a time, and
// of several as many as there are lanes: a transaction mostly waits for the disk and the network,
// and many quiet channels must not wait for each other. A batch that fails is tried again verbatim
// until it succeeds, and whatever the reason, the other channels go on meanwhile as far as they
// can; one that is fenced ends its channel here. Decides when to write, not what (batcher) nor how
// (archive/append).
//
//   the server is away        nobody writes for a while; then the channels in turn
//   only this batch fails     its channel waits: a lock, a deadlock, a statement that took too long
//   it is refused             the same, and longer: somebody has to mend something first
//

import { BackcastError, type Random } from '#base/mod.ts';
import { type AppendResult, type ArchiveBatch, isOfServer } from '#archive/mod.ts';

/** A channel that has batches to commit. */
export interface BatchSource {
  /** When its next batch is due; −Infinity if one is waiting. */
  readonly nextDeadlineMs: number;
  /** The next batch, or undefined. `force` asks for the open one whatever its age. */
  pollBatch(nowMs: number, force: boolean): ArchiveBatch | undefined;
  /** `batch`, the last one given out, is durable. */
  committed(batch: ArchiveBatch): void;
  /**
   * Nothing was written and nothing more is asked for: another archiver writes this channel, or the
   * server lacks what it had committed.
   */
  fenced(refusal: Refusal, batch: ArchiveBatch): void;
}

/** Nothing was written. */
export type Refusal = Exclude<AppendResult, { readonly outcome: 'committed' }>;

/** What the writer needs from outside. */
export interface ShardWriterOptions {
  /** Lanes count from 0; a lane has one batch at a time, and the higher ones are used last. */
  readonly append: (batch: ArchiveBatch, lane: number) => Promise<AppendResult>;
  /** Transactions that may run at once; 1 if not given. */
  readonly laneCount?: number;
  readonly nowMs: () => number;
  /** Keeps attempts of several writers apart that stood in each other's way. */
  readonly random: Random;
  /** The state changed: the database went away, or is back. Told once per change. */
  readonly onDatabase: (state: 'away' | 'back', error?: BackcastError) => void;
  /**
   * The database refuses what this channel has to commit, or takes it again. Told once per change.
   */
  readonly onRefusal: (
    source: BatchSource,
    state: 'refused' | 'taken',
    error?: BackcastError,
  ) => void;
}

/** A batch that failed, and when it is tried again. */
interface FailedBatch {
  readonly batch: ArchiveBatch;
  readonly attempts: number;
  readonly retryAtMs: number;
  readonly isRefused: boolean;
}

/**
 * Between two attempts: doubling, so that a restarting server is not hammered. With up to a quarter
 * more or less, so that archivers which stood in each other's way do not meet again.
 */
const BACK_OFF_MS = { first: 50, last: 2_000 };
/** The same for what is refused until somebody has mended it. */
const REFUSED_MS = { first: 10_000, last: 60_000 };
/** Doubles any first wait beyond its last. */
const DOUBLINGS_MAX = 10;
/** What should pass and has not after half a minute is told as a refusal. */
const ATTEMPTS_ALARM = 20;
/** What setTimeout can take; without a nearer deadline only a wake ends the wait. */
const TIMER_MS_MAX = 2_147_483_647;
const NEVER_MS = Number.POSITIVE_INFINITY;

/** A batch on its way. */
interface Work {
  readonly source: BatchSource;
  readonly batch: ArchiveBatch;
  readonly lane: number;
}

/** An append that was tried. */
interface Attempt {
  readonly batch: ArchiveBatch;
  readonly startedMs: number;
}

/** The commit loop of one shard. */
export class ShardWriter {
  readonly #options: ShardWriterOptions;
  readonly #sources = new Set<BatchSource>();
  /** Those with a batch under way, which are not asked for another. */
  readonly #busy = new Set<BatchSource>();
  readonly #freeLanes: number[];
  #bug: { readonly error: unknown } | undefined;
  readonly #failed = new Map<BatchSource, FailedBatch>();
  /** The server is away: nothing is tried before this. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #pauses = 0;
  #wake: () => void = () => {};
  #isDraining = false;
  #isAway = false;
  #commits = 0;

  constructor(options: ShardWriterOptions) {
    this.#options = options;
    this.#freeLanes = Array.from({ length: options.laneCount ?? 1 }, (_, lane) => lane);
  }

  /** Transactions committed so far. */
  get commits(): number {
    return this.#commits;
  }

  /** Whether the last attempt to commit failed for want of the database. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Whether the database refuses what `source` has to commit. */
  isRefused(source: BatchSource): boolean {
    return this.#failed.get(source)?.isRefused ?? false;
  }

  /** Takes a channel in. */
  add(source: BatchSource): void {
    this.#sources.add(source);
    this.wake();
  }

  /** Lets a channel go; what it holds is no longer asked for. */
  remove(source: BatchSource): void {
    this.#sources.delete(source);
    this.#failed.delete(source);
  }

  /** A source may have a batch now. Cheap, and harmless when it has not. */
  wake(): void {
    this.#wake();
  }

  /** From now on everything is due, and `run` returns when all is committed. */
  drain(): void {
    this.#isDraining = true;
    for (const [source, failed] of this.#failed) {
      this.#failed.set(source, { ...failed, attempts: 1, retryAtMs: this.#options.nowMs() });
    }
    this.wake();
  }

  /**
   * Runs until drained, or until `deadline` fires before that: then false, and what was heard last
   * is not committed. Appends that are under way are waited for. Rejects with what is a bug.
   */
  async run(deadline: AbortSignal): Promise<boolean> {
    const wake = (): void => this.wake();
    deadline.addEventListener('abort', wake);
    try {
      for (;;) {
        const isOver = deadline.aborted || this.#bug !== undefined;
        const work = isOver ? undefined : this.#next();
        if (work !== undefined) void this.#run(work);
        else if (this.#busy.size > 0) await this.#sleep(isOver ? NEVER_MS : this.#nextDeadlineMs());
        else if (this.#bug !== undefined) throw this.#bug.error;
        else if (deadline.aborted) return false;
        else if (this.#isDraining && this.#failed.size === 0) return true;
        else await this.#sleep(this.#nextDeadlineMs());
      }
    } finally {
      deadline.removeEventListener('abort', wake);
    }
  }

  #next(): Work | undefined {
    if (this.#freeLanes.length === 0) return undefined;
    const nowMs = this.#options.nowMs();
    if (nowMs < this.#pausedUntilMs) return undefined;
    for (const source of this.#sources) {
      if (this.#busy.has(source)) continue;
      const failed = this.#failed.get(source);
      if (failed !== undefined && nowMs < failed.retryAtMs) continue;
      const batch = failed?.batch ?? source.pollBatch(nowMs, this.#isDraining);
      if (batch === undefined) continue;
      this.#sources.delete(source);
      this.#sources.add(source);
      return { source, batch, lane: this.#freeLanes.shift() ?? 0 };
    }
    return undefined;
  }

  async #run(work: Work): Promise<void> {
    this.#busy.add(work.source);
    try {
      await this.#commit(work);
    } catch (error) {
      this.#bug ??= { error };
    }
    this.#busy.delete(work.source);
    this.#freeLanes.push(work.lane);
    this.#freeLanes.sort((a, b) => a - b);
    this.wake();
  }

  async #commit({ source, batch, lane }: Work): Promise<void> {
    const startedMs = this.#options.nowMs();
    try {
      const result = await this.#options.append(batch, lane);
      this.#report('back');
      this.#pauses = 0;
      this.#settled(source);
      if (result.outcome === 'committed') {
        this.#commits += 1;
        source.committed(batch);
      } else {
        this.#sources.delete(source);
        source.fenced(result, batch);
      }
    } catch (error) {
      if (!(error instanceof BackcastError)) throw error;
      this.#handleFailure(source, { batch, startedMs }, error);
    }
  }

  #settled(source: BatchSource): void {
    const wasRefused = this.isRefused(source);
    this.#failed.delete(source);
    if (wasRefused) this.#options.onRefusal(source, 'taken');
  }

  /** A channel that was let go meanwhile has nothing to try again. */
  #handleFailure(source: BatchSource, attempt: Attempt, error: BackcastError): void {
    if (!this.#sources.has(source)) return;
    if (error.isRetryable && isOfServer(error)) this.#pause(source, attempt, error);
    else this.#postpone(source, attempt, error);
  }

  /** Nothing can be written: the channel is as it was, and everybody waits. */
  #pause(source: BatchSource, { batch }: Attempt, error: BackcastError): void {
    this.#report('away', error);
    const nowMs = this.#options.nowMs();
    // Of several lanes that fail together, the first says how long.
    if (nowMs >= this.#pausedUntilMs) {
      this.#pauses += 1;
      this.#pausedUntilMs = nowMs + this.#backOffMs(this.#pauses, BACK_OFF_MS);
    }
    const retryAtMs = this.#pausedUntilMs;
    const { attempts = 0, isRefused = false } = this.#failed.get(source) ?? {};
    this.#failed.set(source, { batch, attempts, retryAtMs, isRefused });
  }

  /** Only this channel waits, long enough that the others have most of the time. */
  #postpone(source: BatchSource, { batch, startedMs }: Attempt, error: BackcastError): void {
    this.#report('back');
    this.#pauses = 0;
    const nowMs = this.#options.nowMs();
    const before = this.#failed.get(source);
    const attempts = (before?.attempts ?? 0) + 1;
    const isRefused = !error.isRetryable || attempts >= ATTEMPTS_ALARM;
    const backOffMs = this.#backOffMs(attempts, error.isRetryable ? BACK_OFF_MS : REFUSED_MS);
    const retryAtMs = nowMs + Math.max(backOffMs, 2 * (nowMs - startedMs));
    this.#failed.set(source, { batch, attempts, retryAtMs, isRefused });
    if (isRefused && before?.isRefused !== true) {
      this.#options.onRefusal(source, 'refused', error);
    }
  }

  /** Draining, there is no time to wait for somebody who mends what is refused. */
  #backOffMs(attempts: number, between: typeof BACK_OFF_MS): number {
    const { first, last } = this.#isDraining ? BACK_OFF_MS : between;
    const ms = Math.min(first * 2 ** Math.min(attempts - 1, DOUBLINGS_MAX), last);
    return ms * (0.75 + this.#options.random() / 2);
  }

  #report(state: 'away' | 'back', error?: BackcastError): void {
    if ((state === 'away') === this.#isAway) return;
    this.#isAway = state === 'away';
    this.#options.onDatabase(state, error);
  }

  #nextDeadlineMs(): number {
    let earliestMs = NEVER_MS;
    if (this.#freeLanes.length === 0) return NEVER_MS;
    for (const source of this.#sources) {
      if (this.#busy.has(source)) continue;
      const dueMs = this.#failed.get(source)?.retryAtMs ?? source.nextDeadlineMs;
      earliestMs = Math.min(earliestMs, dueMs);
    }
    return Math.max(earliestMs, this.#pausedUntilMs);
  }

  /** Waits until `untilMs`, or until woken. */
  async #sleep(untilMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const ms = untilMs === NEVER_MS ? NEVER_MS : Math.max(0, untilMs - this.#options.nowMs());
    const timer = ms < TIMER_MS_MAX ? setTimeout(resolve, Math.ceil(ms)) : undefined;
    await promise;
    clearTimeout(timer);
    this.#wake = () => {};
  }
}
