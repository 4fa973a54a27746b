// Looks up what of a session was lost before this archiver had it, so that its publisher can be
// told what is archived. One question is under way at a time.

import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
import type { SequenceRange, SessionId } from '#base/mod.ts';
import type { Acknowledgement } from '#multicast/core/mod.ts';
import { ArchivedSessions, LOOKED_UP_LOSSES } from './archived-sessions.ts';

/** What it needs from outside. */
export interface LossLookupOptions {
  /** The last losses of a session in the archive, at most `count`, in order. */
  readonly findLosses: (session: SessionId, count: number) => Promise<readonly SequenceRange[]>;
  /** This much of a session is archived. */
  readonly onArchived: (session: SessionId, archived: Acknowledgement) => void;
  readonly nowMs: () => number;
}

/** After a question that the database did not answer. */
const RETRY_MS = 1_000;

/** Tells what is archived of the sessions of one channel. */
export class LossLookup {
  readonly #options: LossLookupOptions;
  readonly #sessions: ArchivedSessions;
  #term = 0;
  #isAsking = false;
  #retryAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LossLookupOptions) {
    this.#options = options;
    this.#sessions = new ArchivedSessions(options.onArchived);
  }

  /** A term as the one who writes begins; `sessions` are those that the archive has. */
  begin(sessions: readonly SessionProgress[]): void {
    this.#term += 1;
    this.#sessions.begin(sessions);
    this.handleTimeout();
  }

  /** `batch` is durable. */
  committed(batch: ArchiveBatch): void {
    this.#sessions.committed(batch);
    this.handleTimeout();
  }

  /** Asks again what was not answered; to be called a few times a second. */
  handleTimeout(): void {
    if (this.#isAsking || this.#sessions.unknown === undefined) return;
    if (this.#options.nowMs() >= this.#retryAtMs) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    try {
      for (let { unknown } = this.#sessions; unknown !== undefined; { unknown } = this.#sessions) {
        const term = this.#term;
        const lost = await this.#options.findLosses(unknown, LOOKED_UP_LOSSES);
        // An answer from before may lack what another archiver has lost since.
        if (term === this.#term) this.#sessions.learn(unknown, lost);
      }
    } catch {
      // The writer tells of a database that is away.
      this.#retryAtMs = this.#options.nowMs() + RETRY_MS;
    }
    this.#isAsking = false;
  }
}
