// What is being fetched of the archive to fill holes, and when the next may be asked for.

import { Backoff } from './catch-up-patience.ts';
import type { Fetching } from './catch-up-shapes.ts';
import type { SessionRange } from './replay-source.ts';

/** The fetch of one subscription, of which there is one at a time. */
export class FetchSlot {
  readonly #backoff = new Backoff();
  #current: Fetching | undefined;
  #againAtMs = Number.NEGATIVE_INFINITY;

  /** What is to be fetched now. */
  get current(): Fetching | undefined {
    return this.#current;
  }

  /** When holes may be fetched again. */
  get againAtMs(): number {
    return this.#againAtMs;
  }

  /** These are to be fetched from now on. */
  begin(ranges: readonly SessionRange[]): void {
    this.#current = { kind: 'fetch', ranges };
  }

  /** It was answered; what did not fill anything is not asked for again at once. */
  answered(isOfUse: boolean, nowMs: number): void {
    if (!isOfUse) return this.failed(nowMs);
    this.#backoff.reset();
    this.#current = undefined;
    this.#againAtMs = nowMs;
  }

  /** It was not answered. */
  failed(nowMs: number): void {
    this.#current = undefined;
    this.#againAtMs = this.#backoff.nextAtMs(nowMs);
  }

  /** It is wanted no more. */
  end(): void {
    this.#current = undefined;
  }
}
