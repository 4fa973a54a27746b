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
}

/** Since when each hole has not become smaller from its front. */
export class HoleWatch {
  readonly #holes = new Map<SessionId, Watched>();

  /** These are the holes now. */
  watch(holes: readonly SessionRange[], nowMs: number): void {
    const open = new Set(holes.map(({ session }) => session));
    for (const session of this.#holes.keys()) if (!open.has(session)) this.#holes.delete(session);
    for (const range of holes) {
      const before = this.#holes.get(range.session);
      if (before?.range.first === range.first) before.range = range;
      else this.#holes.set(range.session, { range, sinceMs: nowMs });
    }
  }

  /** The holes that are watched. */
  get ranges(): SessionRange[] {
    return [...this.#holes.values()].map(({ range }) => range);
  }

  /** Nobody could have filled them until now. */
  excuse(nowMs: number): void {
    for (const watched of this.#holes.values()) watched.sinceMs = nowMs;
  }

  /** When the one that has waited longest will have waited for `ms`; Infinity if there is none. */
  expiresAtMs(ms: number): number {
    const since = [...this.#holes.values()].map(({ sinceMs }) => sinceMs);
    return Math.min(...since) + ms;
  }

  /** Those that have waited for `ms`. */
  expired(ms: number, nowMs: number): SessionRange[] {
    const waited = [...this.#holes.values()].filter(({ sinceMs }) => sinceMs + ms <= nowMs);
    return waited.map(({ range }) => range);
  }
}
