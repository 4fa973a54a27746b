// Joins history to live: takes what the archive tells and what is heard live, in any interleaving,
// and tells each sequence of each session once and in order, or says what is missing. Does not know
// when to ask the archive for what, nor how long to wait (catch-up).
//
// Per session there is one number, `next`: the first sequence not told. What lies before it is
// dropped wherever it comes from; what begins at it is told; what begins behind it shows a hole.
// A session that has been told up to its seam is merged: what is missing then comes live.

import type { SessionId } from '#base/mod.ts';
import { LiveBuffer } from './merge-live-buffer.ts';
import { MergeOutbox } from './merge-outbox.ts';
import type { LiveEntry, LostCause, ToldSession } from './merge-told.ts';
import type {
  ReplayedDeletion,
  ReplayedLoss,
  ReplayedRun,
  ReplayStart,
  SessionRange,
  SessionStand,
} from './replay-source.ts';

/**
 * With which sequence a session begins that nothing was told of yet. `one`: all of it is wanted.
 * `archive`: what the archive had before the start is not, and what comes after is. `heard`: with
 * whatever comes first, and once it is known what the archive had, as with `archive`.
 */
export type SessionBegin = 'one' | 'archive' | 'heard';

/** What a merge is made of. */
export interface MergeOptions {
  readonly begin: SessionBegin;
  /** Without one, what is lost live is lost. */
  readonly hasArchive: boolean;
  /** Sessions told earlier, each with the first sequence that was not. */
  readonly nexts: ReadonlyMap<SessionId, number>;
  /** Those of them that were told to be over. */
  readonly ended?: ReadonlySet<SessionId>;
  /** Through which position all was told earlier, if that is known. */
  readonly position: number | undefined;
  /** What may be heard live and wait, in bytes. */
  readonly bufferBytesMax: number;
}

/** Receivers unwrap packet numbers from beyond 2^32 on, less a window. */
const FOREIGN_SEQUENCE_MIN = 2 ** 31;

type ArchivedEntry = ReplayedRun | ReplayedLoss | ReplayedDeletion;

/** The merge of one subscription. */
export class Merge {
  readonly outbox: MergeOutbox = new MergeOutbox();
  readonly buffer: LiveBuffer = new LiveBuffer();
  readonly #options: MergeOptions;
  readonly #nexts: Map<SessionId, number>;
  /** What the archive had of each session when it was first asked. */
  readonly #baseline = new Map<SessionId, number>();
  #hasBaseline = false;
  readonly #opening = new Set<SessionId>();
  readonly #closing = new Map<SessionId, 'closed' | 'expired'>();
  /** Something of a place was left to come live: the places behind it are not told either. */
  #isPlaceHeld = false;
  #position: number | undefined;

  constructor(options: MergeOptions) {
    this.#options = options;
    this.#nexts = new Map(options.nexts);
    this.#position = options.position;
    const { nexts, ended } = options;
    for (const session of nexts.keys()) if (!ended?.has(session)) this.outbox.recall(session);
  }

  /** The first sequence of the session that is not told; undefined while it has not begun. */
  nextOf(session: SessionId): number | undefined {
    return this.#nexts.get(session);
  }

  /** Everything through here has been told; undefined while nobody knows where that is. */
  get position(): number | undefined {
    return this.#position;
  }

  /** A reading begins, or goes on behind what was told of it. */
  startReading(start?: ReplayStart): void {
    this.#isPlaceHeld = false;
    if (start !== undefined && 'afterPosition' in start) this.#position ??= start.afterPosition;
  }

  /** A reading has come to its end, `position`. */
  endReading(position: number): void {
    this.#reach(position);
  }

  /** Everything through `position` has been told, wherever it came from. */
  place(position: number): void {
    this.#isPlaceHeld = false;
    this.#reach(position);
  }

  /** Whether it is known what the archive had. */
  get hasBaseline(): boolean {
    return this.#hasBaseline;
  }

  /** What the archive had of the sessions before anything of them was read. */
  setBaseline(stands: readonly SessionStand[]): void {
    this.#hasBaseline = true;
    for (const { session, watermark } of stands) this.#baseline.set(session, watermark);
  }

  /** How far the archive had got with a session at first; 0 if it did not know it. */
  baselineOf(session: SessionId): number {
    return this.#baseline.get(session) ?? 0;
  }

  /** Takes what was heard; how many older entries had to go for it. */
  hear(entry: LiveEntry): number {
    const next = this.#nexts.get(entry.session);
    if (next !== undefined && entry.last < next) return 0;
    this.buffer.push(entry);
    return this.#options.hasArchive ? this.buffer.slide(this.#options.bufferBytesMax) : 0;
  }

  /** A session is heard, or over: told in its place among what is told of it. */
  hearState({ session, state }: Omit<ToldSession, 'kind'>): void {
    if (state === 'open') {
      this.#closing.delete(session);
      this.#opening.add(session);
    } else {
      this.#closing.set(session, state);
    }
  }

  /**
   * Takes what the archive knows of the end of sessions. One of which more was heard than it has,
   * or less told, is not over here.
   */
  hearEnds(stands: readonly SessionStand[]): void {
    for (const { session, watermark, state } of stands)
      if (state !== 'open' && this.#nexts.get(session) === watermark + 1)
        this.hearState({ session, state });
  }

  /**
   * Tells what the archive has at the next place of a reading. If sequences are missing before it,
   * returns them, and nothing is told.
   */
  takeInPlace(entry: ArchivedEntry): SessionRange | undefined {
    const { session } = entry;
    const next = this.#begin(entry);
    const first = firstOf(entry);
    const seam = this.buffer.headOf(session)?.first ?? Number.POSITIVE_INFINITY;
    const isMerged = next >= seam;
    if (first > next && !isMerged) return { session, first: next, last: Math.min(first, seam) - 1 };
    const through = entry.kind === 'messages' ? Number.POSITIVE_INFINITY : seam - 1;
    const isLeft = first > next || lastOf(entry) > Math.max(next - 1, through);
    if (isLeft) this.#isPlaceHeld = true;
    if (first <= next) this.#tell(entry, through, true);
    else this.#pass(entry);
    return undefined;
  }

  /** Tells what the archive has of what is missing; false if that is not what comes next. */
  takeFetched(entry: ArchivedEntry): boolean {
    if (firstOf(entry) > this.#begin(entry)) return false;
    this.#tell(entry, Number.POSITIVE_INFINITY, false);
    return true;
  }

  /** Sequences that nobody will bring: what of them comes next is told as lost. */
  lose({ session, first, last }: SessionRange, cause: LostCause): void {
    const next = this.#nexts.get(session);
    if (next === undefined || first > next || last < next) return;
    this.#open(session);
    this.outbox.push({ kind: 'lost', session, first: next, last, cause });
    this.#advance(session, last + 1);
  }

  /** Tells the next of what was heard live; false if there is nothing, or only behind holes. */
  takeLive(): boolean {
    const [opened] = this.#opening;
    if (opened !== undefined) {
      this.#open(opened);
      return true;
    }
    const head = this.buffer.oldest((entry) => this.#isNext(entry));
    if (head === undefined) return this.#close();
    const { session, first, last } = head;
    const next = this.#beginLive(head);
    if (first > next) {
      this.lose({ session, first: next, last: first - 1 }, 'not_archived');
    } else if (last < next) {
      this.buffer.shift(session);
    } else if (head.kind === 'lost') {
      this.lose(head, head.cause);
    } else {
      this.#open(session);
      this.outbox.push({ kind: 'live_run', run: head, skippedCount: next - first });
      this.#advance(session, last + 1);
    }
    return true;
  }

  /** What is missing before what was heard live, or was lost there: one range per session. */
  holes(): SessionRange[] {
    if (!this.#options.hasArchive) return [];
    return this.buffer.heads().flatMap((head) => {
      const { session, first, last } = head;
      const next = this.#beginLive(head);
      const holeLast = head.kind === 'lost' ? last : first - 1;
      return holeLast >= next ? [{ session, first: next, last: holeLast }] : [];
    });
  }

  /** Whether it can be told: it comes next, or nobody can bring what is missing before it. */
  #isNext(head: LiveEntry): boolean {
    if (!this.#options.hasArchive) return true;
    const next = this.#nexts.get(head.session) ?? this.#firstLive(head);
    return head.last < next || (head.first <= next && head.kind === 'messages');
  }

  /** Tells of `entry` what comes next, but nothing behind `through`. */
  #tell(entry: ArchivedEntry, through: number, isInPlace: boolean): void {
    const { session } = entry;
    const next = this.#begin(entry);
    const last = Math.min(lastOf(entry), through);
    if (last < next) return isInPlace ? this.#pass(entry) : undefined;
    if (entry.kind !== 'messages') {
      const cause = entry.kind === 'deletion' ? 'deleted' : entry.cause;
      return this.lose({ session, first: next, last }, cause);
    }
    this.#open(session);
    const skippedCount = Math.min(next - entry.firstSequence, entry.messageCount);
    const isPlace = isInPlace && !this.#isPlaceHeld;
    if (isPlace) this.#position = entry.firstPosition + entry.messageCount - 1;
    this.outbox.push({ kind: 'replayed_run', run: entry, skippedCount, isInPlace: isPlace });
    this.#advance(session, last + 1);
  }

  /** Nothing of it is told in its place. */
  #pass(entry: ArchivedEntry): void {
    if (entry.kind === 'messages') this.#reach(entry.firstPosition + entry.messageCount - 1);
  }

  #reach(position: number): void {
    if (this.#isPlaceHeld || position <= (this.#position ?? -1)) return;
    this.#position = position;
    this.outbox.push({ kind: 'place', position });
  }

  #advance(session: SessionId, next: number): void {
    this.#nexts.set(session, next);
    this.buffer.dropBefore(session, next);
  }

  #begin(entry: ArchivedEntry): number {
    const known = this.#nexts.get(entry.session);
    if (known !== undefined) return known;
    const next = this.#options.begin === 'one' && !isForeign(entry) ? 1 : firstOf(entry);
    this.#nexts.set(entry.session, next);
    return next;
  }

  #beginLive(head: LiveEntry): number {
    const next = this.#nexts.get(head.session) ?? this.#firstLive(head);
    this.#nexts.set(head.session, next);
    return next;
  }

  #firstLive(head: LiveEntry): number {
    const { begin } = this.#options;
    if (begin === 'one') return 1;
    if (begin === 'archive' || this.#hasBaseline)
      return Math.min(head.first, this.baselineOf(head.session) + 1);
    return head.kind === 'lost' && head.cause === 'late_join' ? head.last + 1 : head.first;
  }

  #open(session: SessionId): void {
    this.#opening.delete(session);
    this.outbox.pushState(session, 'open');
  }

  /** Tells the end of a session of which nothing is left to tell. */
  #close(): boolean {
    for (const [session, state] of this.#closing) {
      if (this.buffer.headOf(session) !== undefined) continue;
      this.#closing.delete(session);
      this.outbox.pushState(session, state);
      return true;
    }
    return false;
  }
}

function isForeign(entry: ArchivedEntry): boolean {
  const isSaid = entry.kind === 'deletion' ? undefined : entry.isForeign;
  return isSaid ?? firstOf(entry) > FOREIGN_SEQUENCE_MIN;
}

function firstOf(entry: ArchivedEntry): number {
  return entry.kind === 'messages' ? entry.firstSequence : entry.first;
}

function lastOf(entry: ArchivedEntry): number {
  return entry.kind === 'messages' ? entry.throughSequence : entry.last;
}
