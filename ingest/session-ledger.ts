// What a batcher knows of its channel's sessions: how far each is told, and from where it is to go
// on. Pure, like the batcher.
//
// Sessions come and go, and forged ones may come for ever, so only a bounded number is kept that
// are over. What may be forgotten is over and committed: the archive then knows it as well. Who
// finds a session neither here nor among those that are kept has to ask the archive before it opens
// it again, or what is stored would be told twice; `hasForgotten` says whether there is reason to.

import { assert, SEQUENCE_MAX, SESSIONS_REMEMBERED_MAX, type SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { ResumePoint } from '#multicast/core/mod.ts';

type Progress = { -readonly [Key in keyof SessionProgress]: SessionProgress[Key] };

interface Known {
  readonly progress: Progress;
  /** Number of the last batch in which it changed. */
  changedIn: number;
}

/** Stands for no packet number in the archive: the first packet of a session has 2^32 or more. */
const NO_SQN = 0;

/** The sessions of one channel. */
export class SessionLedger {
  readonly #sessions = new Map<SessionId, Known>();
  /** The last session of each foreign source, by TSI. */
  readonly #foreign = new Map<string, SessionId>();
  /** Over and committed, the longest so first. */
  readonly #settled = new Set<SessionId>();
  #hasForgotten = false;

  /** Begins with what the archive knows, those opened last at the end. */
  constructor(sessions: readonly SessionProgress[]) {
    for (const session of sessions) this.learn(session);
  }

  /** Whether a session that is not known here may be known to the archive. */
  get hasForgotten(): boolean {
    return this.#hasForgotten;
  }

  /** Sessions that are known. */
  get size(): number {
    return this.#sessions.size;
  }

  /** A ledger that knows the same and goes its own way from here on. */
  copy(): SessionLedger {
    const copy = new SessionLedger([]);
    for (const [session, { progress, changedIn }] of this.#sessions)
      copy.#sessions.set(session, { progress: { ...progress }, changedIn });
    for (const [tsi, session] of this.#foreign) copy.#foreign.set(tsi, session);
    for (const session of this.#settled) copy.#settled.add(session);
    copy.#hasForgotten = this.#hasForgotten;
    return copy;
  }

  /** What is known of `from` is known of `to` from now on, which the archive calls it. */
  rename(from: SessionId, to: SessionId): void {
    const known = this.#knownOf(from);
    known.progress.session = to;
    this.#sessions.delete(from);
    this.#sessions.set(to, known);
    this.#foreign.set(known.progress.tsi, to);
    if (this.#settled.delete(from)) this.#settled.add(to);
  }

  /** What is known of every session. */
  all(): SessionProgress[] {
    return [...this.#sessions.values()].map(({ progress }) => progress);
  }

  /** The sessions that are not over. */
  openSessions(): SessionId[] {
    const open = [...this.#sessions].filter(([, { progress }]) => progress.state === 'open');
    return open.map(([session]) => session);
  }

  /** What is known of a session; undefined if nothing is. */
  find(session: SessionId): SessionProgress | undefined {
    return this.#sessions.get(session)?.progress;
  }

  /** Takes over what the archive has of a session that is not known here. */
  learn(progress: SessionProgress): void {
    if (this.#sessions.has(progress.session)) return;
    this.#sessions.set(progress.session, { progress: { ...progress }, changedIn: 0 });
    if (progress.isForeign) this.#foreign.set(progress.tsi, progress.session);
    if (progress.state !== 'open') this.#settle(progress.session);
  }

  /**
   * Where the next thing told of `session` has to begin; `finished` if nothing can follow,
   * undefined if it is not known.
   */
  recall(session: SessionId): ResumePoint | 'finished' | undefined {
    const progress = this.#sessions.get(session)?.progress;
    if (progress === undefined) return undefined;
    return progress.state === 'closed' ? 'finished' : resumePointOf(progress);
  }

  /** The same for the last session of a foreign source; one that has ended is not gone on with. */
  recallForeign(tsi: string): ResumePoint | undefined {
    const session = this.#foreign.get(tsi);
    const progress = session === undefined ? undefined : this.#sessions.get(session)?.progress;
    if (progress === undefined || progress.state === 'closed') return undefined;
    return resumePointOf(progress);
  }

  /** The session is heard, for the first time or again. */
  open(session: SessionId, tsi: string, isForeign: boolean, batch: number): void {
    if (!this.#sessions.has(session)) {
      const progress: Progress = {
        session,
        tsi,
        isForeign,
        state: 'open',
        firstArchived: 1,
        watermark: 0,
        lead: 0,
        resumeSqn: NO_SQN,
      };
      this.#sessions.set(session, { progress, changedIn: batch });
    }
    if (isForeign) this.#foreign.set(tsi, session);
    const progress = this.change(session, batch);
    progress.state = 'open';
    delete progress.closedAtUs;
  }

  /**
   * [first, last] is accounted for; the promise of the whole product hangs on this assertion.
   * Returns what is known of the session now.
   */
  advance(
    session: SessionId,
    { first, last }: { readonly first: number; readonly last: number },
    nextSqn: number,
    batch: number,
  ): SessionProgress {
    const progress = this.change(session, batch);
    const isFirst = progress.watermark < progress.firstArchived;
    if (isFirst && progress.isForeign) progress.firstArchived = first;
    else
      assert(first === progress.watermark + 1, 'sequences are accounted for in order, each once');
    assert(last >= first && last <= SEQUENCE_MAX, 'a sequence is at most 2^53 − 1');
    progress.watermark = last;
    progress.lead = Math.max(progress.lead, last);
    progress.resumeSqn = nextSqn;
    return progress;
  }

  /** What is known of a session, to be changed as part of `batch`. */
  change(session: SessionId, batch: number): Progress {
    const known = this.#knownOf(session);
    known.changedIn = batch;
    this.#settled.delete(session);
    return known.progress;
  }

  /** What is known of a session. */
  progressOf(session: SessionId): Readonly<Progress> {
    return this.#knownOf(session).progress;
  }

  /**
   * The packet in which what follows begins; undefined while nothing was told of the session.
   */
  resumeSqnOf(session: SessionId): number | undefined {
    return sqnOf(this.#knownOf(session).progress);
  }

  /** `batch` is durable: what is over since and did not change in a later one may be forgotten. */
  committed(sessions: readonly SessionProgress[], batch: number): void {
    for (const { session } of sessions) {
      const known = this.#knownOf(session);
      if (known.progress.state !== 'open' && known.changedIn === batch) this.#settle(session);
    }
  }

  #knownOf(session: SessionId): Known {
    const known = this.#sessions.get(session);
    assert(known !== undefined, 'a session is opened before anything else is told of it');
    return known;
  }

  #settle(session: SessionId): void {
    this.#settled.add(session);
    if (this.#settled.size <= SESSIONS_REMEMBERED_MAX) return;
    const [oldest] = this.#settled;
    const { tsi } = this.#knownOf(oldest).progress;
    if (this.#foreign.get(tsi) === oldest) this.#foreign.delete(tsi);
    this.#settled.delete(oldest);
    this.#sessions.delete(oldest);
    this.#hasForgotten = true;
  }
}

function resumePointOf(progress: SessionProgress): ResumePoint {
  const { session, watermark, isForeign } = progress;
  return { session, nextSequence: watermark + 1, nextSqn: sqnOf(progress), isForeign };
}

function sqnOf({ resumeSqn }: SessionProgress): number | undefined {
  return resumeSqn === NO_SQN ? undefined : resumeSqn;
}
