// Asks the archive about sessions that a batcher does not know and may have forgotten. A receiver
// wants its answer at once; so a session that is not known yet is refused until the archive has
// answered, and its packets, which are asked for like any that are missing, are taken then. One
// question is under way at a time, about a bounded number of sessions, so that a flood of forged
// ones costs no more than a slow trickle does.

import type { SessionProgress } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';

/** What a lookup needs from outside. */
export interface SessionLookupOptions {
  /** What the archive has of these sessions; those that it never heard are missing. */
  readonly find: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  /** The archive knows this session. */
  readonly onFound: (progress: SessionProgress) => void;
  readonly nowMs: () => number;
}

/** Sessions that one question is about. */
const ASKED_SESSIONS_MAX = 256;
/** Sessions known to be new that have not been opened yet. */
const NEW_SESSIONS_MAX = 1_024;
/** After a question that the database did not answer. */
const RETRY_MS = 1_000;

/** The questions of one channel. */
export class SessionLookup {
  readonly #options: SessionLookupOptions;
  readonly #wanted = new Set<SessionId>();
  readonly #new = new Set<SessionId>();
  #isAsking = false;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: SessionLookupOptions) {
    this.#options = options;
  }

  /** Whether the archive is known not to have `session`; if that is not known, it is asked. */
  isNew(session: SessionId): boolean {
    if (this.#new.has(session)) return true;
    if (this.#wanted.size < ASKED_SESSIONS_MAX) this.#wanted.add(session);
    if (!this.#isAsking && this.#options.nowMs() >= this.#retryAtMs) void this.#ask();
    return false;
  }

  async #ask(): Promise<void> {
    const { find, onFound, nowMs } = this.#options;
    const asked = [...this.#wanted];
    this.#isAsking = true;
    try {
      const found = await find(asked);
      for (const progress of found) onFound(progress);
      const known = new Set(found.map(({ session }) => session));
      for (const session of asked) if (!known.has(session)) this.#note(session);
    } catch {
      // The writer tells of a database that is away; the session's next packet asks again.
      this.#retryAtMs = nowMs() + RETRY_MS;
    }
    for (const session of asked) this.#wanted.delete(session);
    this.#isAsking = false;
  }

  #note(session: SessionId): void {
    this.#new.add(session);
    const [oldest] = this.#new;
    if (this.#new.size > NEW_SESSIONS_MAX) this.#new.delete(oldest);
  }
}
