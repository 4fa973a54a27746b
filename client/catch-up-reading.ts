// What is being read of the archive, when it is tried again after a failure, and since when nothing
// of it has come.

import { Backoff } from './catch-up-patience.ts';
import type { Reading } from './catch-up-shapes.ts';

const NEVER_MS = Number.POSITIVE_INFINITY;
/** A reading tells what there was when it began: what was not there then may be there since. */
const FRESH_MS_MAX = 1_000;

/** The reading of one subscription, of which there is one at a time. */
export class ReadingSlot {
  readonly #backoff = new Backoff();
  #current: Reading | undefined;
  #again: Reading | undefined;
  #againAtMs = NEVER_MS;
  #isAwaited = false;
  #movedAtMs: number;
  #begunAtMs = 0;

  constructor(nowMs: number) {
    this.#movedAtMs = nowMs;
  }

  /** What is to be read now. */
  get current(): Reading | undefined {
    return this.#current;
  }

  /** When what failed is to be read again; Infinity for not. */
  get againAtMs(): number {
    return this.#againAtMs;
  }

  /** Whether something is due: of a tail that has begun only what comes. */
  get isAwaited(): boolean {
    return this.#isAwaited;
  }

  /** When something came last, or could not have come. */
  get movedAtMs(): number {
    return this.#movedAtMs;
  }

  /** Whether what was read last is all that there was a moment ago. */
  isFresh(nowMs: number): boolean {
    return nowMs - this.#begunAtMs < FRESH_MS_MAX;
  }

  /** This is to be read from now on. */
  begin(reading: Reading, nowMs: number): void {
    this.moved(nowMs);
    this.#set(reading, nowMs);
  }

  /** Something has come, or could not have. */
  moved(nowMs: number): void {
    this.#movedAtMs = nowMs;
  }

  /** An entry has come. */
  answered(nowMs: number): void {
    this.moved(nowMs);
    this.#isAwaited = this.#current?.kind === 'open';
    this.#backoff.reset();
  }

  /** There is nothing to read any more. */
  end(): void {
    this.#current = undefined;
    this.#again = undefined;
    this.#againAtMs = NEVER_MS;
  }

  /** It failed; `again` is read after a while. */
  failed(again: Reading, nowMs: number): void {
    this.#current = undefined;
    this.#again = again;
    this.#againAtMs = this.#backoff.nextAtMs(nowMs);
    this.#isAwaited = true;
  }

  /** Reads what failed again if it is time; whether it does. */
  resume(nowMs: number): boolean {
    if (this.#again === undefined || nowMs < this.#againAtMs) return false;
    this.#set(this.#again, nowMs);
    return true;
  }

  #set(reading: Reading, nowMs: number): void {
    this.#begunAtMs = nowMs;
    this.#current = reading;
    this.#again = undefined;
    this.#againAtMs = NEVER_MS;
    this.#isAwaited = true;
  }
}
