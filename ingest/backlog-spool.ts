// The spool of a backlog, as long as it lives: usable, failed, or not open yet. A disk that was
// full or away may be mended by somebody, so a spool that failed is tried again, less and less
// often, since each attempt writes. What is put into it and what is told of it is the backlog's.

import { BackcastError, toError } from '#base/mod.ts';
import type { BacklogOptions } from './backlog-options.ts';
import type { Spool } from './spool/mod.ts';

/** What it needs of a backlog's options. */
export type BacklogSpoolOptions = Pick<BacklogOptions, 'spool' | 'nowMs' | 'onSpool'>;

/** Between two attempts: doubling, so that a disk that stays away costs nothing. */
const RETRY_MS_MIN = 10_000;
const RETRY_MS_MAX = 300_000;

/** One backlog's spool. */
export class BacklogSpool implements AsyncDisposable {
  readonly #options: BacklogSpoolOptions;
  #isUsable: boolean;
  #hasProblem = false;
  #retryMs = RETRY_MS_MIN;
  #retryAtMs = Number.POSITIVE_INFINITY;

  constructor(options: BacklogSpoolOptions) {
    this.#options = options;
    this.#isUsable = options.spool?.isOpen === true;
    if (options.spool?.isOpen === false) this.#tryLater();
  }

  /** Whether there is one, be it usable. */
  get isWanted(): boolean {
    return this.#options.spool !== undefined;
  }

  /** What can be written to. */
  get usable(): Spool | undefined {
    return this.#isUsable ? this.#options.spool : undefined;
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
      if (spool.durableThrough < spool.lastNumber) await spool.flush();
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
    await this.#options.spool?.trim(number).catch(() => undefined);
  }

  /**
   * Tries what failed, if it is time. With what it then holds is begun if `mayBegin` says so, else
   * at a later call. True if it is usable now, and was not, or not wholly.
   */
  async mend(mayBegin: (spool: Spool) => Promise<boolean>): Promise<boolean> {
    const { spool } = this.#options;
    if (spool === undefined || !this.isRetryDue) return false;
    try {
      await spool.revive();
    } catch (error) {
      if (!(error instanceof BackcastError)) throw toError(error);
      this.#tryLater();
      return false;
    }
    if (!(await mayBegin(spool))) return false;
    this.#isUsable = true;
    this.#hasProblem = false;
    this.#retryMs = RETRY_MS_MIN;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    this.#options.onSpool(undefined);
    return true;
  }

  /** Closes it. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.spool?.[Symbol.asyncDispose]();
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
