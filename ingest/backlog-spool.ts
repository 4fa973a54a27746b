// The spool of a backlog, as long as it lives: usable, failed, or not opened yet. A disk that was
// full or away may be mended by somebody, so a spool that failed is tried again, less and less
// often, since each attempt writes. What is put into it and what is told of it is the backlog's.

import { BackcastError, toError } from '#base/mod.ts';
import type { BacklogOptions } from './backlog-options.ts';
import type { Spool } from './spool/mod.ts';
import { SpoolDrain } from './spool-drain.ts';

/** Between two attempts: doubling, so that a disk that stays away costs nothing. */
const RETRY_MS_MIN = 10_000;
const RETRY_MS_MAX = 300_000;

/** What it needs of a backlog's options. */
type Options = Pick<BacklogOptions, 'spool' | 'openSpool' | 'findSessions' | 'nowMs' | 'onSpool'>;

/** One backlog's spool. */
export class BacklogSpool implements AsyncDisposable {
  readonly #options: Options;
  /** Open, and perhaps failed. */
  #open: Spool | undefined;
  #drain: SpoolDrain | undefined;
  #isUsable: boolean;
  #hasProblem = false;
  /** Opened late, and not begun with yet. */
  #late: Spool | undefined;
  #retryMs = RETRY_MS_MIN;
  #retryAtMs = Number.POSITIVE_INFINITY;

  constructor(options: Options) {
    this.#options = options;
    this.#open = options.spool;
    this.#isUsable = options.spool !== undefined;
    this.#drain = options.spool && new SpoolDrain(options.spool, options.findSessions);
    if (options.openSpool !== undefined) this.#tryLater();
  }

  /** Whether there is one, or will be. */
  get isWanted(): boolean {
    return this.#open !== undefined || this.#options.openSpool !== undefined;
  }

  /** What can be written to. */
  get usable(): Spool | undefined {
    return this.#isUsable ? this.#open : undefined;
  }

  /** What reads it, also after it failed. */
  get drain(): SpoolDrain | undefined {
    return this.#drain;
  }

  /** Bytes that it takes from the disk. */
  get diskBytes(): number {
    return this.#open?.diskBytes ?? 0;
  }

  /** Whether it is time to try what failed. */
  get isRetryDue(): boolean {
    return this.#options.nowMs() >= this.#retryAtMs;
  }

  /**
   * Makes durable what was appended. `full`: the disk had no room for all of it, and more can be
   * appended when it has. `failed`: nothing more can be written.
   */
  async flush(): Promise<'durable' | 'full' | 'failed'> {
    const spool = this.usable;
    if (spool === undefined) return 'failed';
    try {
      await spool.flush();
      if (spool.isDiskFull) this.#noteProblem(diskFull());
      return 'durable';
    } catch (error) {
      if (!(error instanceof BackcastError)) throw toError(error);
      this.#isUsable = spool.isDiskFull;
      this.#noteProblem(error);
      return this.#isUsable ? 'full' : 'failed';
    }
  }

  /** Gives back the disk that entries through `number` take, as far as the disk answers. */
  async trim(number: number): Promise<void> {
    await this.#open?.trim(number).catch(() => undefined);
  }

  /**
   * Tries what failed. What could not be opened before is begun with if `mayBegin` says so of it,
   * else at the next call. True if it is usable now, and was not.
   */
  async mend(mayBegin: (spool: Spool) => boolean): Promise<boolean> {
    if (!this.isRetryDue) return false;
    try {
      if (this.#open !== undefined) await this.#open.revive();
      else this.#late ??= await this.#options.openSpool?.();
    } catch (error) {
      if (!(error instanceof BackcastError)) throw toError(error);
      this.#tryLater();
      return false;
    }
    if (this.#late !== undefined) {
      if (!mayBegin(this.#late)) return false;
      this.#open = this.#late;
      this.#late = undefined;
      this.#drain = new SpoolDrain(this.#open, this.#options.findSessions);
      this.#drain.expectOld();
    }
    this.#isUsable = true;
    this.#hasProblem = false;
    this.#retryMs = RETRY_MS_MIN;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    this.#options.onSpool(undefined);
    return true;
  }

  /** Closes it. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.[Symbol.asyncDispose]();
    await this.#late?.[Symbol.asyncDispose]();
  }

  #noteProblem(error: BackcastError): void {
    if (this.#hasProblem && this.#isUsable) return;
    this.#hasProblem = true;
    this.#tryLater();
    this.#options.onSpool(error);
  }

  #tryLater(): void {
    this.#retryAtMs = this.#options.nowMs() + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }
}

function diskFull(): BackcastError {
  const message =
    'The disk of the spool is full before the spool is: messages are lost while the database is ' +
    'away. Make room there, or set archiver.spool.bytesMax to what the disk has.';
  return new BackcastError('BACKCAST_SPOOL_UNUSABLE', message);
}
