// How long a recovering subscriber waits for the archive: when to ask again, and since when
// something has not moved. Time comes in as an argument.

import type { SessionId } from '#base/mod.ts';
import type { SessionRange } from './replay-source.ts';

const RETRY_MS_FIRST = 20;
/** Far below any patience, and few enough that a thousand waiting readers are no load. */
const RETRY_MS_MAX = 500;

/** When to ask again: soon at first, then at growing distances. */
export class Backoff {
  #waitMs = RETRY_MS_FIRST;

  /** It did not work: when to try the next time. */
  nextAtMs(nowMs: number): number {
    const atMs = nowMs + this.#waitMs;
    this.#waitMs = Math.min(RETRY_MS_MAX, this.#waitMs * 2);
    return atMs;
  }

  /** It worked. */
  reset(): void {
    this.#waitMs = RETRY_MS_FIRST;
  }
}

interface Watched {
  range: SessionRange;
  sinceMs: number;
  /** Not so while the archive is read: it may fill it. */
  isOpen: boolean;
}

/** Since when each hole has not become smaller from its front, however often it is looked at. */
export class HoleWatch {
  readonly #holes = new Map<SessionId, Watched>();
  #compared: ReadonlyMap<SessionId, number> = new Map();

  /** These are the holes now, and there are no others. */
  watch(holes: readonly SessionRange[], nowMs: number): void {
    const open = new Set(holes.map(({ session }) => session));
    for (const session of this.#holes.keys()) if (!open.has(session)) this.#holes.delete(session);
    for (const range of holes) this.#open(range, nowMs);
  }

  /** Of the holes this one alone is to be filled now; nothing is known of the others. */
  watchOne(hole: SessionRange | undefined, nowMs: number): void {
    for (const watched of this.#holes.values()) watched.isOpen = false;
    if (hole !== undefined) this.#open(hole, nowMs);
  }

  /** Whether a hole is among these that was not when this was asked last, or has moved since. */
  haveMoved(holes: readonly SessionRange[]): boolean {
    const before = this.#compared;
    this.#compared = new Map(holes.map(({ session, first }) => [session, first]));
    return holes.some(({ session, first }) => before.get(session) !== first);
  }

  /** The holes that are to be filled. */
  get ranges(): SessionRange[] {
    return this.#opened().map(({ range }) => range);
  }

  /** Nobody could have filled them until now. */
  excuse(nowMs: number): void {
    for (const watched of this.#holes.values()) watched.sinceMs = nowMs;
  }

  /** When the one that has waited longest will have waited for `ms`; Infinity if there is none. */
  expiresAtMs(ms: number): number {
    return Math.min(...this.#opened().map(({ sinceMs }) => sinceMs)) + ms;
  }

  /** Those that have waited for `ms`. */
  expired(ms: number, nowMs: number): SessionRange[] {
    const waited = this.#opened().filter(({ sinceMs }) => sinceMs + ms <= nowMs);
    return waited.map(({ range }) => range);
  }

  #open(range: SessionRange, nowMs: number): void {
    const before = this.#holes.get(range.session);
    const sinceMs = before?.range.first === range.first ? before.sinceMs : nowMs;
    this.#holes.set(range.session, { range, sinceMs, isOpen: true });
  }

  #opened(): Watched[] {
    return [...this.#holes.values()].filter(({ isOpen }) => isOpen);
  }
}
