// Two archivers that hear a foreign source make up a session each, since it names none. The archive
// has the one of the archiver that wrote it first; what the other has heard is of the same session,
// and is called that from then on, wherever it is kept.

import type { SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';

/** Something that is kept by session. */
export interface Renamable {
  rename(from: SessionId, to: SessionId): void;
}

/** What it is made of. */
export interface ForeignNamesOptions {
  /** All that was heard. */
  readonly heard: () => SessionLedger;
  /** The sessions of which something is kept. */
  readonly keptSessions: () => ReadonlySet<SessionId>;
  /** Whether the archive was seen to have a session. */
  readonly isArchived: (session: SessionId) => boolean;
  /** Where sessions are called by their names. */
  readonly places: readonly Renamable[];
}

/** Numbers further apart than this are not of the same packets. */
const NEAR = 2 ** 31;

/** What the sessions of this archiver's receiver are called in the archive. */
export class ForeignNames {
  readonly #options: ForeignNamesOptions;
  readonly #names = new Map<SessionId, SessionId>();

  constructor(options: ForeignNamesOptions) {
    this.#options = options;
  }

  /** The event as the archive names its session. */
  named(event: ReceiverEvent): ReceiverEvent {
    if (this.#names.size === 0) return event;
    const session = this.#names.get(event.session);
    return session === undefined ? event : { ...event, session };
  }

  /** Kept sessions of foreign sources that may have another name in the archive. */
  strangers(): SessionProgress[] {
    const { heard, keptSessions, isArchived } = this.#options;
    const known = [...keptSessions()].map((session) => heard().find(session));
    const unknown = known.filter((it) => it !== undefined && !isArchived(it.session));
    return unknown.filter((it) => it !== undefined).filter(({ isForeign }) => isForeign);
  }

  /** These are sessions of foreign sources in the archive. While somebody else writes. */
  adopt(archived: readonly SessionProgress[]): void {
    for (const stranger of this.strangers()) {
      const { session: from } = stranger;
      if (archived.some(({ session }) => session === from)) continue;
      const to = archived.find((theirs) => isSame(stranger, theirs))?.session ?? from;
      if (to === from) continue;
      for (const [ours, name] of this.#names) if (name === from) this.#names.set(ours, to);
      this.#names.set(from, to);
      for (const place of [this.#options.heard(), ...this.#options.places]) place.rename(from, to);
    }
  }
}

function isSame(ours: SessionProgress, theirs: SessionProgress): boolean {
  const isBehind = theirs.firstArchived > ours.lead + NEAR;
  const isAhead = theirs.lead < ours.firstArchived - NEAR;
  const isFollowed = theirs.isForeign && theirs.state === 'open';
  return ours.tsi === theirs.tsi && isFollowed && !isBehind && !isAhead;
}
