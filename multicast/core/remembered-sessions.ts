// Sessions that a receiver follows no longer: those that ended for good, whose packets open nothing
// any more, and those that are over for now and go on where they were left. Bounded: the oldest are
// forgotten, and who must not be told anything twice remembers them all (`recall` of a receiver).

import { RECEIVE_SESSIONS_MAX, type SessionId } from '#base/mod.ts';
import type { ResumePoint } from './receiver-event.ts';

/** A session that is over for now, or was taken over from an earlier receiver. */
interface Dormant {
  readonly resume: ResumePoint;
  /** Until when it may still be heard before it is reported as expired. */
  readonly expiresAtMs: number;
}

/** The memory of one receiver. */
export class RememberedSessions {
  readonly #dormant = new Map<SessionId, Dormant>();
  readonly #finished = new Set<SessionId>();

  /** Sessions remembered. */
  get count(): number {
    return this.#finished.size + this.#dormant.size;
  }

  /** Whether the session ended for good. */
  isFinished(session: SessionId): boolean {
    return this.#finished.has(session);
  }

  /** Where the session goes on, if it is over for now. */
  resumeOf(session: SessionId): ResumePoint | undefined {
    return this.#dormant.get(session)?.resume;
  }

  /** An earlier receiver's session, which is to be heard before `expiresAtMs`. Never forgotten. */
  restore(resume: ResumePoint, expiresAtMs: number): void {
    this.#dormant.set(resume.session, { resume, expiresAtMs });
  }

  /** The session is over, and goes on from `resume` if it is heard again. */
  rest(resume: ResumePoint): void {
    this.restore(resume, Number.POSITIVE_INFINITY);
    trimOldest(this.#dormant);
  }

  /** Packets of this session open nothing any more. */
  finish(session: SessionId): void {
    this.#dormant.delete(session);
    this.#finished.add(session);
    trimOldest(this.#finished);
  }

  /** The session is followed again. */
  wake(session: SessionId): void {
    this.#dormant.delete(session);
  }

  /** Nothing could be heard for `lateMs`. */
  overslept(lateMs: number): void {
    for (const [session, { resume, expiresAtMs }] of this.#dormant) {
      this.#dormant.set(session, { resume, expiresAtMs: expiresAtMs + lateMs });
    }
  }

  /** Restored sessions whose time has come, each once; and when the next one's comes. */
  expire(nowMs: number): { readonly expired: readonly SessionId[]; readonly nextAtMs: number } {
    const expired: SessionId[] = [];
    let nextAtMs = Number.POSITIVE_INFINITY;
    for (const [session, { resume, expiresAtMs }] of this.#dormant) {
      if (expiresAtMs > nowMs) {
        nextAtMs = Math.min(nextAtMs, expiresAtMs);
        continue;
      }
      expired.push(session);
      this.#dormant.set(session, { resume, expiresAtMs: Number.POSITIVE_INFINITY });
    }
    return { expired, nextAtMs };
  }
}

function trimOldest(sessions: Set<SessionId> | Map<SessionId, unknown>): void {
  if (sessions.size <= RECEIVE_SESSIONS_MAX) return;
  const [oldest] = sessions.keys();
  if (oldest !== undefined) sessions.delete(oldest);
}
