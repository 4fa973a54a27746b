// Who publishes the sessions of an answer: asked for once per session and answer, when the first
// page comes that names it.

import {
  type Channel,
  type MessagePage,
  nameSessions,
  type ReadDatabase,
  type SessionOrigin,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';

const UNKNOWN: SessionOrigin = { source: null, isForeign: false };

/** The origins of the sessions that an answer names. */
export class Sources {
  readonly #opened: ReadDatabase;
  readonly #channel: Channel;
  readonly #known = new Map<SessionId, SessionOrigin>();

  constructor(opened: ReadDatabase, channel: Channel) {
    this.#opened = opened;
    this.#channel = channel;
  }

  /** The publisher's name; null if it told none. Load the page that names `session` first. */
  of(session: SessionId): string | null {
    return this.origin(session).source;
  }

  /** The same, and whether it is of Backcast. */
  origin(session: SessionId): SessionOrigin {
    return this.#known.get(session) ?? UNKNOWN;
  }

  /** Asks for the sessions of `page` that are not known yet. */
  async load(page: MessagePage): Promise<void> {
    const sessions = new Set(page.entries.map(({ session }) => session));
    const unknown = [...sessions].filter((session) => !this.#known.has(session));
    if (unknown.length === 0) return;
    const found = await nameSessions(this.#opened, this.#channel, unknown);
    for (const session of unknown) this.#known.set(session, found.get(session) ?? UNKNOWN);
  }
}
