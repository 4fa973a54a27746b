// Whether what is heard live is all there is: compares it, now and then, with where the archive
// stands. Where both agree the place of the subscription moves up; where the archive has had
// more of a session for a while, the live stream does not reach us.

import type { Merge } from './merge.ts';
import type { SessionId } from '#base/mod.ts';
import type { ArchiveStand, SessionStand } from './replay-source.ts';

/** Soon after the stream was joined; the archive is a moment behind it. */
const LISTEN_MS_FIRST = 250;
/** How stale a cursor may be that was taken while live: what is read again after a restart. */
const LISTEN_MS = 5_000;
/** A packet is asked for again and repaired well within this, if it can be. */
const DEAF_MS_MIN = 1_000;

/** The comparison for one subscription. */
export class Hearing {
  /** When to ask where the archive stands; Infinity for not now. */
  standAtMs: number = Number.POSITIVE_INFINITY;
  readonly #merge: Merge;
  #behind: ReadonlyMap<SessionId, number> = new Map();
  #behindSinceMs = Number.POSITIVE_INFINITY;

  constructor(merge: Merge) {
    this.#merge = merge;
  }

  /** The stream was joined, again perhaps. */
  listen(nowMs: number): void {
    this.standAtMs = nowMs + LISTEN_MS_FIRST;
    this.#behind = new Map();
  }

  /** The archive did not say where it stands. */
  postpone(nowMs: number): void {
    this.standAtMs = nowMs + LISTEN_MS;
  }

  /** Takes where the archive stands; `deaf` if it has long had what we have not heard. */
  judge(stand: ArchiveStand, nowMs: number): 'deaf' | 'hears' {
    const merge = this.#merge;
    if (merge.position === undefined && !merge.hasBaseline) {
      merge.setBaseline(stand.sessions);
      merge.place(stand.archivedThrough);
    } else if (stand.sessions.every((one) => one.watermark < this.#nextOf(one))) {
      merge.place(stand.archivedThrough);
    }
    const behind = stand.sessions.filter((one) => one.watermark > this.#reachedOf(one));
    const isStill = behind.some((one) => this.#behind.get(one.session) === this.#reachedOf(one));
    if (!isStill) this.#behindSinceMs = nowMs;
    this.#behind = new Map(behind.map((one) => [one.session, this.#reachedOf(one)]));
    this.standAtMs = nowMs + (behind.length > 0 ? DEAF_MS_MIN : LISTEN_MS);
    return isStill && nowMs - this.#behindSinceMs >= DEAF_MS_MIN ? 'deaf' : 'hears';
  }

  #nextOf({ session }: SessionStand): number {
    return this.#merge.nextOf(session) ?? this.#merge.baselineOf(session) + 1;
  }

  #reachedOf(one: SessionStand): number {
    return Math.max(this.#merge.buffer.heardThrough(one.session), this.#nextOf(one) - 1);
  }
}
