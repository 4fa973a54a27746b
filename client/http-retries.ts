// When to ask again after a failure, and when to give up: at growing distances, or when the API has
// said, for as long as nothing has succeeded.

import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import { monotonicMs, processRandom } from '#multicast/udp/mod.ts';
import { RefusedError } from './http-request.ts';

const FIRST_WAIT_MS = 100;
const WAIT_MS_MAX = 2_000;

/** Bounds on retrying. */
export interface RetryOptions {
  /** How long failures may follow each other. */
  readonly patienceMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The retries of one reading. */
export class Retries {
  readonly #patienceMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #random = processRandom();
  #failingSinceMs: number | undefined;
  #waitMs = FIRST_WAIT_MS;

  constructor({ patienceMs, signal }: RetryOptions) {
    this.#patienceMs = patienceMs;
    this.#signal = signal;
  }

  /** Something came: patience begins anew. */
  succeeded(): void {
    this.#failingSinceMs = undefined;
    this.#waitMs = FIRST_WAIT_MS;
  }

  /**
   * Waits until it may be tried again; throws `failure` when it will not pass, or has not for too
   * long, and the reason of the signal.
   */
  async failed(failure: unknown): Promise<void> {
    if (!(failure instanceof BackcastError) || !failure.isRetryable) throw failure;
    const nowMs = monotonicMs();
    this.#failingSinceMs ??= nowMs;
    const told = failure instanceof RefusedError ? (failure.retryAfterMs ?? 0) : 0;
    // Many that failed together must not come back together.
    const waitMs = Math.max(told, this.#waitMs) * (0.5 + this.#random());
    if (nowMs + waitMs - this.#failingSinceMs > this.#patienceMs) throw failure;
    this.#waitMs = Math.min(WAIT_MS_MAX, this.#waitMs * 2);
    await delay(waitMs, undefined, { signal: this.#signal }).catch(() => undefined);
    this.#signal?.throwIfAborted();
  }
}
