// What a tail knows of the sessions of its channel: what their publishers are called, and which of
// them began or ended. Sessions have no place among the messages; what is told here is told where
// it became known, a beginning before the first message and an end behind the last.

import {
  type ArchiveDatabase,
  findSessions,
  listOpenSessions,
  type PageEntry,
  type SessionProgress,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import type { SessionChange } from './tail-text.ts';

/** Sessions that are kept in mind; beyond it the one known longest is forgotten if it is over. */
const KNOWN_MAX = 4_096;
/** The open sessions that a tail names when it begins. */
const OPEN_MAX = 1_000;

/** Sessions that something new has come of. */
export interface MetSessions {
  /** To be told before it. */
  readonly begun: readonly SessionChange[];
  /** They are over by now: to be told behind it. */
  readonly ended: readonly SessionChange[];
}

/** The sessions of one channel, as far as a tail has met them. */
export class TailSessions {
  readonly #database: ArchiveDatabase;
  readonly #channelId: number;
  readonly #known = new Map<SessionId, SessionChange>();

  constructor(database: ArchiveDatabase, channelId: number) {
    this.#database = database;
    this.#channelId = channelId;
  }

  /** Learns which sessions are open, and which are no more. */
  async load(): Promise<void> {
    await this.ended();
    const open = await listOpenSessions(this.#database, this.#channelId, OPEN_MAX);
    for (const one of open.toReversed()) this.#note({ ...one, state: 'open' });
  }

  /** The sessions that are open, as far as is known. */
  get open(): readonly SessionChange[] {
    return [...this.#known.values()].filter(({ state }) => state === 'open');
  }

  /** What the publisher of `session`, which was met, is called. */
  readonly sourceOf = (session: SessionId): string | null => {
    return this.#known.get(session)?.source ?? null;
  };

  /** Learns those of the sessions in `entries` that are not known to be open. */
  async meet(entries: readonly PageEntry[]): Promise<MetSessions> {
    const sessions = [...new Set(entries.map(({ session }) => session))];
    const asked = sessions.filter((session) => this.#known.get(session)?.state !== 'open');
    const found = await findSessions(this.#database, this.#channelId, asked);
    const begun: SessionChange[] = [];
    const ended: SessionChange[] = [];
    for (const progress of found) {
      const change = toChange(progress);
      const isNews = this.#known.get(change.session)?.state !== change.state;
      this.#note(change);
      if (!isNews) continue;
      if (change.state === 'open' || beginsIn(entries, progress))
        begun.push({ ...change, state: 'open' });
      if (change.state !== 'open') ended.push(change);
    }
    return { begun, ended };
  }

  /**
   * What has become of those that were open. What it says has happened by now, so whatever came of
   * such a session before its end lies before the head that is read after this.
   */
  async ended(): Promise<readonly SessionChange[]> {
    const open = this.open.map(({ session }) => session);
    const found = await findSessions(this.#database, this.#channelId, open);
    const changes = found.map(toChange);
    for (const one of changes) this.#note(one);
    return changes.filter(({ state }) => state !== 'open');
  }

  #note(change: SessionChange): void {
    this.#known.set(change.session, change);
    if (this.#known.size <= KNOWN_MAX) return;
    for (const { session, state } of this.#known.values()) {
      if (state === 'open') continue;
      this.#known.delete(session);
      return;
    }
  }
}

/** Whether `entries` have the first of it: what is healed of an old session does not begin it. */
function beginsIn(
  entries: readonly PageEntry[],
  { session, firstArchived }: SessionProgress,
): boolean {
  return entries.some((entry) => {
    const first = entry.kind === 'messages' ? entry.firstSequence : entry.first;
    return entry.session === session && first <= firstArchived;
  });
}

function toChange({ session, source, state }: SessionProgress): SessionChange {
  return { session, source: source ?? null, state };
}
