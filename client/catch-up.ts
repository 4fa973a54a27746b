// Brings a subscriber from where it was to what is said now, and back there whenever it falls
// behind: decides what to ask of the archive and when, and hands what comes to the merge. Asks by
// what it wants at the moment (`reading`, `fetching`, `standing`); who runs it brings that about.
//
//   state       tells                              leaves when
//   starting    nothing                            the archive has said where it stands
//   replaying   what the archive has, in place     all of it was told, and every seam is reached
//   mending     live, but sessions with a hole     the holes are filled or lost
//   live        live                               something is missing; it slid; it is deaf
//   following   what the archive takes in          never (there is no multicast)
//   failed      nothing                            never
//
// Nothing waits for the archive longer than the patience: then it fails, with the reason.

import { assert, BackcastError } from '#base/mod.ts';
import { type CatchUpCounters, newCatchUpCounters } from './catch-up-counters.ts';
import { Backoff, HoleWatch } from './catch-up-patience.ts';
import { ReadingSlot } from './catch-up-reading.ts';
import { Hearing } from './catch-up-hearing.ts';
import type {
  CatchUpOptions,
  CatchUpState,
  Fetching,
  Reading,
  Standing,
} from './catch-up-shapes.ts';
import { isFinal, stalled } from './catch-up-failures.ts';
import { Merge } from './merge.ts';
import type { LiveEntry, Told, ToldSession } from './merge-told.ts';
import type {
  ArchiveStand,
  FetchedEntry,
  ReplayEnd,
  ReplayEntry,
  ReplayStart,
  SessionRange,
  TailEntry,
} from './replay-source.ts';

const NEVER_MS = Number.POSITIVE_INFINITY;
/** A deadline met this late means that the process stood still, and nobody else. */
const ASLEEP_MS_MIN = 1_000;
/** Holes in one request: a URL or body of some kilobytes. */
const FETCH_RANGES_MAX = 64;

type PlacedEntry = Exclude<ReplayEntry, ReplayEnd>;

/** The recovery of one subscription. */
export class CatchUp {
  readonly counters: CatchUpCounters = newCatchUpCounters();
  readonly #options: CatchUpOptions;
  readonly #merge: Merge;
  readonly #hearing: Hearing;
  readonly #holes = new HoleWatch();
  readonly #reading: ReadingSlot;
  readonly #standBackoff = new Backoff();
  readonly #fetchBackoff = new Backoff();
  readonly #roundBackoff = new Backoff();
  #state: CatchUpState = 'live';
  #failure: Error | undefined;
  #fetching: Fetching | undefined;
  #standing: Standing | undefined;
  #fetchAtMs = Number.NEGATIVE_INFINITY;
  #fallBackAtMs = Number.NEGATIVE_INFINITY;
  /** What of the reading lies behind a hole. */
  #blocked: PlacedEntry | undefined;
  #toldBefore = 0;
  #hasLeftLive: boolean;
  #trouble: unknown;

  constructor(options: CatchUpOptions, nowMs: number) {
    this.#options = options;
    this.#merge = new Merge(options);
    this.#hearing = new Hearing(this.#merge);
    this.#reading = new ReadingSlot(nowMs);
    this.#hasLeftLive = options.start !== undefined || !options.hasMulticast;
    assert(options.hasArchive || options.hasMulticast, 'messages come from somewhere');
    if (!options.hasArchive) return;
    if (this.#hasLeftLive) this.#start(nowMs);
    else this.#hearing.standAtMs = nowMs;
  }

  /** Where it is. */
  get state(): CatchUpState {
    return this.#state;
  }

  /** Why it failed. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** What is to be read now, and goes on where it is; another object is another reading. */
  get reading(): Reading | undefined {
    return this.#reading.current;
  }

  /** What is to be fetched now. */
  get fetching(): Fetching | undefined {
    return this.#fetching;
  }

  /** What is to be asked of where the archive stands. */
  get standing(): Standing | undefined {
    return this.#standing;
  }

  /** Whether the next entry of the reading may come. */
  get mayRead(): boolean {
    return this.#blocked === undefined && this.#merge.outbox.hasRoom;
  }

  /** Whether the next entry of the fetch may come. */
  get mayFetch(): boolean {
    return this.#merge.outbox.hasRoom;
  }

  /** Whether what is heard live has room; with an archive it always has. */
  get mayHear(): boolean {
    const { hasArchive, bufferBytesMax } = this.#options;
    return hasArchive || this.#merge.buffer.bytes < bufferBytesMax;
  }

  /** What is heard and not told, in bytes. */
  get bufferedBytes(): number {
    return this.#merge.buffer.bytes;
  }

  /** A time at or before the next thing to do. */
  get nextDeadlineMs(): number {
    if (this.#state === 'failed') return NEVER_MS;
    const fetchAtMs = this.#holesToFetch().length > 0 ? this.#fetchAtMs : NEVER_MS;
    const standAtMs = this.#standing === undefined ? this.#hearing.standAtMs : NEVER_MS;
    return Math.min(this.#reading.againAtMs, fetchAtMs, standAtMs, this.#stallsAtMs());
  }

  /** The next thing to tell. */
  pollTold(nowMs: number): Told | undefined {
    const { outbox, buffer } = this.#merge;
    const hadRoom = outbox.hasRoom;
    const told = outbox.shift();
    if (!hadRoom && outbox.hasRoom) this.#excuse(nowMs);
    if (outbox.hasRoom && !buffer.isEmpty) this.#pump(nowMs);
    return told ?? outbox.shift();
  }

  /** Messages or a loss were heard live. */
  handleLive(entry: LiveEntry, nowMs: number): void {
    if (this.#state === 'failed') return;
    const slid = this.#merge.hear(entry);
    this.counters.entriesSlid += slid;
    if (slid > 0 && this.#isLive() && this.#merge.holes().length > 0) this.#fallBack(nowMs);
    this.#pump(nowMs);
  }

  /** A session is heard, or over. */
  handleLiveSession(state: Omit<ToldSession, 'kind'>, nowMs: number): void {
    this.#merge.hearState(state);
    this.#pump(nowMs);
  }

  /** The next entry of `reading`. */
  handleEntry(reading: Reading, entry: TailEntry, nowMs: number): void {
    if (reading !== this.#reading.current) return;
    // A tail tells who ends from now on, and nobody has said who ended before.
    if (reading.kind === 'tail' && this.#reading.isAwaited) this.#hearing.standAtMs = nowMs;
    this.#reading.answered(nowMs);
    if (entry.kind === 'end') this.#endReading(reading, entry.archivedThrough, nowMs);
    else if (entry.kind !== 'session') this.#place(entry, nowMs);
    else if (!this.#options.hasMulticast) this.#merge.hearState(entry);
    this.#pump(nowMs);
  }

  /** The next entry of `fetching`. */
  handleFetched(fetching: Fetching, entry: FetchedEntry, nowMs: number): void {
    if (fetching !== this.#fetching) return;
    if (entry.kind === 'end') this.#endFetch(fetching, nowMs);
    else if (entry.kind === 'unknown') this.#merge.lose(entry, 'not_archived');
    // What waits behind it in the same answer is excused as well.
    else if (entry.kind !== 'unsettled' && this.#merge.takeFetched(entry)) this.#excuse(nowMs);
    this.#pump(nowMs);
  }

  /** The answer to `standing`. */
  handleStand(standing: Standing, stand: ArchiveStand, nowMs: number): void {
    if (standing !== this.#standing) return;
    this.#standing = undefined;
    if (this.#state === 'starting') this.#started(stand, nowMs);
    else {
      this.#merge.hearEnds(stand.sessions);
      const isHeard = this.#options.hasMulticast;
      if (isHeard && this.#hearing.judge(stand, nowMs) === 'deaf') this.#fallBack(nowMs);
    }
    this.#pump(nowMs);
  }

  /** What was asked for cannot be had, for now or for good. */
  handleFailure(request: Reading | Fetching | Standing, error: unknown, nowMs: number): void {
    if (request === this.#standing) this.#standFailed(error, nowMs);
    else if (request === this.#fetching) this.#fetchFailed(request, error, nowMs);
    else if (request === this.#reading.current) this.#readFailed(request, error, nowMs);
    else return;
    this.#trouble = error;
    this.counters.failures += 1;
    this.#pump(nowMs);
  }

  /** Lets time pass. */
  handleTimeout(nowMs: number): void {
    if (this.#state === 'failed') return;
    if (nowMs - this.nextDeadlineMs >= ASLEEP_MS_MIN) this.#excuse(nowMs);
    if (this.#reading.resume(nowMs)) this.#merge.startReading();
    if (this.#standing === undefined && nowMs >= this.#hearing.standAtMs) {
      this.#hearing.standAtMs = NEVER_MS;
      const isFirst = this.#state === 'starting';
      const sessions = isFirst ? [] : this.#merge.outbox.openSessions;
      this.#standing = { kind: 'stand', sessions };
    }
    if (nowMs >= this.#stallsAtMs()) this.#stall(nowMs);
    this.#pump(nowMs);
  }

  #isLive(): boolean {
    return this.#state === 'live' || this.#state === 'mending';
  }

  #start(nowMs: number): void {
    const { start, begin, hasMulticast } = this.#options;
    this.#state = 'starting';
    if (start !== undefined) this.#merge.outbox.push({ kind: 'replaying' });
    if (start === undefined || (begin === 'archive' && hasMulticast))
      this.#hearing.standAtMs = nowMs;
    else this.#replay(start, nowMs);
  }

  #started(stand: ArchiveStand, nowMs: number): void {
    const { start } = this.#options;
    this.#merge.setBaseline(stand.sessions);
    if (start !== undefined) return this.#replay(start, nowMs);
    this.#merge.place(stand.archivedThrough);
    this.#follow(nowMs);
  }

  #replay(start: ReplayStart, nowMs: number): void {
    this.#state = 'replaying';
    this.#toldBefore = this.#merge.outbox.count;
    this.counters.rounds += 1;
    this.#merge.startReading(start);
    this.#reading.begin({ kind: 'open', start }, nowMs);
  }

  #follow(nowMs: number): void {
    this.#state = 'following';
    const afterPosition = this.#merge.position ?? 0;
    this.#reading.begin({ kind: 'tail', afterPosition }, nowMs);
    this.#rejoined();
  }

  /** What is told is what is said now, as far as anybody can tell. */
  #rejoined(): void {
    if (!this.#hasLeftLive) return;
    this.#hasLeftLive = false;
    this.#merge.outbox.push({ kind: 'live' });
  }

  /** Back to the archive: the live stream alone does not go on from what was told. */
  #fallBack(nowMs: number): void {
    const { position } = this.#merge;
    if (position === undefined) return;
    const holes = this.#merge.holes();
    if (holes.length === 0 || this.#holes.haveMoved(holes)) this.#roundBackoff.reset();
    // The archive had nothing new when it was read last: it is not read for each packet that goes.
    else if (nowMs < this.#fallBackAtMs) return;
    this.#fallBackAtMs = this.#roundBackoff.nextAtMs(nowMs);
    this.counters.fallbacks += 1;
    this.#fetching = undefined;
    this.#blocked = undefined;
    this.#standing = undefined;
    this.#hearing.standAtMs = NEVER_MS;
    const sinceMs = this.#holes.expiresAtMs(0);
    this.#holes.watchOne(undefined, nowMs);
    this.#leaveLive(nowMs);
    this.#replay({ afterPosition: position }, nowMs);
    this.#reading.moved(Math.min(sinceMs, nowMs));
  }

  #place(entry: PlacedEntry | undefined, nowMs: number): void {
    if (entry === undefined) return;
    const hole = this.#merge.takeInPlace(entry);
    this.#blocked = hole === undefined ? undefined : entry;
    this.#holes.watchOne(hole, nowMs);
  }

  #endReading(reading: Reading, archivedThrough: number, nowMs: number): void {
    this.#merge.endReading(archivedThrough);
    if (reading.kind === 'tail') return;
    this.#reading.end();
    if (!this.#options.hasMulticast) return this.#follow(nowMs);
    const hasTold = this.#merge.outbox.count > this.#toldBefore;
    const holes = this.#merge.holes();
    const mayFill = this.#holes.haveMoved(holes) || !this.#reading.isFresh(nowMs);
    if (hasTold && holes.length > 0 && mayFill)
      return this.#replay({ afterPosition: this.#merge.position ?? 0 }, nowMs);
    this.#state = 'mending';
    this.#hearing.listen(nowMs);
  }

  /** Tells what can be told, and sees what is missing. */
  #pump(nowMs: number): void {
    // Of sessions alone: nothing else is heard.
    if (this.#state === 'following') while (this.#merge.takeLive());
    if (this.#isLive()) {
      if (this.#hasLeftLive && this.#merge.holes().length === 0) this.#rejoined();
      while (this.#merge.outbox.hasRoom && this.#merge.takeLive());
      const holes = this.#merge.buffer.isEmpty ? [] : this.#merge.holes();
      this.#holes.watch(holes, nowMs);
      this.#state = holes.length > 0 ? 'mending' : 'live';
      if (holes.length === 0) this.#rejoined();
    }
    const ranges = this.#holesToFetch();
    if (ranges.length === 0 || nowMs < this.#fetchAtMs) return;
    this.counters.fetches += 1;
    this.#fetching = { kind: 'fetch', ranges };
  }

  #holesToFetch(): SessionRange[] {
    if (this.#fetching !== undefined || this.#state === 'failed') return [];
    return this.#holes.ranges.slice(0, FETCH_RANGES_MAX);
  }

  #endFetch(fetching: Fetching, nowMs: number): void {
    this.#fetching = undefined;
    this.#place(this.#blocked, nowMs);
    const isUnmoved = fetching.ranges.every(
      ({ session, first }) => (this.#merge.nextOf(session) ?? first) === first,
    );
    if (!isUnmoved) this.#fetchBackoff.reset();
    this.#fetchAtMs = isUnmoved ? this.#fetchBackoff.nextAtMs(nowMs) : nowMs;
  }

  #standFailed(error: unknown, nowMs: number): void {
    this.#standing = undefined;
    if (this.#state !== 'starting') return this.#hearing.postpone(nowMs);
    if (isFinal(error)) return this.#fail(error);
    this.#hearing.standAtMs = this.#standBackoff.nextAtMs(nowMs);
  }

  #fetchFailed({ ranges }: Fetching, error: unknown, nowMs: number): void {
    this.#fetching = undefined;
    this.#fetchAtMs = this.#fetchBackoff.nextAtMs(nowMs);
    if (!isFinal(error)) return;
    if (error instanceof BackcastError && error.code === 'BACKCAST_CHANNEL_UNKNOWN') {
      for (const range of ranges) this.#merge.lose(range, 'not_archived');
    } else this.#fail(error);
  }

  #readFailed(reading: Reading, error: unknown, nowMs: number): void {
    this.#blocked = undefined;
    this.#holes.watchOne(undefined, nowMs);
    if (isFinal(error)) return this.#fail(error);
    if (reading.kind === 'tail') this.#leaveLive(nowMs);
    const { position } = this.#merge;
    const isPlaced = position !== undefined || reading.kind === 'tail';
    const start = { afterPosition: position ?? 0 };
    this.#reading.failed(isPlaced ? { kind: 'open', start } : { ...reading }, nowMs);
  }

  #leaveLive(nowMs: number): void {
    this.#state = 'replaying';
    this.#reading.moved(nowMs);
    if (!this.#hasLeftLive) this.#merge.outbox.push({ kind: 'replaying' });
    this.#hasLeftLive = true;
  }

  /** What did not move until now is not the archive's fault. */
  #excuse(nowMs: number): void {
    this.#reading.moved(nowMs);
    this.#holes.excuse(nowMs);
  }

  #stallsAtMs(): number {
    const { stallMs } = this.#options;
    if (!this.#merge.outbox.hasRoom) return NEVER_MS;
    const holesAtMs = this.#holes.expiresAtMs(stallMs);
    const isWaiting =
      this.#state === 'starting' || (!this.#isLive() && this.#reading.isAwaited && this.mayRead);
    return isWaiting ? Math.min(this.#reading.movedAtMs + stallMs, holesAtMs) : holesAtMs;
  }

  #stall(nowMs: number): void {
    const { stallMs, whenStalled } = this.#options;
    const holes = this.#holes.expired(stallMs, nowMs);
    if (holes.length === 0 || whenStalled === 'fail')
      return this.#fail(stalled({ state: this.#state, holes, stallMs, trouble: this.#trouble }));
    for (const hole of holes) this.#merge.lose(hole, 'not_archived');
    this.#fetching = undefined;
    this.#place(this.#blocked, nowMs);
  }

  #fail(error: unknown): void {
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#state = 'failed';
    this.#reading.end();
    this.#fetching = undefined;
    this.#standing = undefined;
  }
}
