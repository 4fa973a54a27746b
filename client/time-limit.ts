// A bound on how long somebody waits: so many milliseconds, until a signal fires, or for ever.

import { monotonicMs } from '#multicast/udp/mod.ts';

/** How long to wait at most; for ever if neither is given. */
export interface WaitOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A bound that has begun to run. */
export class TimeLimit {
  readonly timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #endsAtMs: number;

  constructor({ timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions) {
    this.timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#endsAtMs = monotonicMs() + timeoutMs;
  }

  /**
   * What `work` gives, if that comes in time. Rejects with the signal's reason when it fires, and
   * with `late()` when the time is over; `work` goes on then, and its failure is nobody's.
   */
  async bound<Value>(work: Promise<Value>, late: () => Error): Promise<Value> {
    this.#signal?.throwIfAborted();
    const ended = Promise.withResolvers<never>();
    const onAbort = (): void => ended.reject(this.#signal?.reason);
    const waitMs = Math.max(0, this.#endsAtMs - monotonicMs());
    const timer = Number.isFinite(waitMs)
      ? setTimeout(() => ended.reject(late()), Math.min(waitMs, TIMER_MS_MAX))
      : undefined;
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([work, ended.promise]);
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener('abort', onAbort);
    }
  }
}

/** What setTimeout can take: more is no bound in practice. */
const TIMER_MS_MAX = 2_147_483_647;
