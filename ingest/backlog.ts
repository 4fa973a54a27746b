// Between a channel's receiver and its batcher: everything that was heard and is not committed is
// here, in order, in memory that is bounded whatever the database does.
//
//   standby    no batcher: somebody else writes. What is heard is kept, until the archive has it
//   direct     events go to the batcher at once, and are kept until they are committed
//   spooling   the batcher is full, or waits too long: what is kept and what comes goes to the
//              spool, and from there, durable and in order, to the batcher as it has room
//
// Standby to the others by `lead`, with a batcher that begins where the archive ends: all that is
// here is told again, and of it what is news. Back by `stand`, at any time. From spooling to direct
// when all has been told and the database keeps up. Without room, the owner must not listen.

import type { SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { ArchivedTrim } from './archived-trim.ts';
import type { ArchivedState, BacklogOptions, HeardSessions } from './backlog-options.ts';
import type { Batcher } from './batcher.ts';
import { ForeignNames } from './foreign-names.ts';
import { HeardQueue } from './heard-queue.ts';
import { type KeptEvent, messagesIn } from './kept-events.ts';
import { RecentEvents } from './recent-events.ts';
import { missing, reconcile } from './reconcile.ts';
import { SessionLedger } from './session-ledger.ts';
import type { SpooledEvent } from './spool/mod.ts';
import { SpoolDrain } from './spool-drain.ts';
import { follow, newsOf } from './spooled-history.ts';
import { Teller } from './teller.ts';

/** A loss for want of room is on its way to the disk after this long. */
const DECLARE_AFTER_MS = 500;

/** The backlog of one channel. */
export class Backlog {
  /** What foreign sources are called. */
  readonly foreign: ForeignNames;
  readonly #options: BacklogOptions;
  readonly #queue: HeardQueue;
  readonly #recent = new RecentEvents();
  readonly #drain: SpoolDrain | undefined;
  readonly #trimming: ArchivedTrim;
  /** Who tells the batcher; undefined on standby. */
  #teller: Teller | undefined;
  /** What the sessions are like where the batcher has not been told everything. */
  #front: SessionLedger | undefined;
  #isClosing = false;
  /** On standby: entries of the spool through this number are archived. */
  #archivedThrough = 0;
  #recoveredMessages = 0;
  #working: Promise<void> | undefined;
  #hasMoreWork = false;

  private constructor(options: BacklogOptions) {
    this.#options = options;
    this.#queue = new HeardQueue(options);
    this.#drain =
      options.spool && new SpoolDrain(options.spool, options.framing, options.findSessions);
    this.#trimming = new ArchivedTrim({
      ...options,
      queue: this.#queue,
      drain: this.#drain,
      recent: this.#recent,
    });
    this.foreign = new ForeignNames({
      heard: () => this.#heard,
      keptSessions: () => this.keptSessions(),
      isArchived: (session) => this.#trimming.isArchived(session),
      places: [this.#queue, this.#recent, this.#drain].filter((it) => it !== undefined),
    });
  }

  /**
   * Opens a backlog, on standby, on what an earlier process has spooled: its sessions are known at
   * once. Rejects if the archive does not answer.
   */
  static async open(options: BacklogOptions): Promise<Backlog> {
    const backlog = new Backlog(options);
    await backlog.#recover();
    return backlog;
  }

  /** What is known of the channel's sessions, to the last thing heard. */
  get sessions(): HeardSessions {
    return this.#front ?? this.#teller?.batcher.sessions ?? this.#heard;
  }

  /** Whether more may be heard. */
  get hasRoom(): boolean {
    return this.heldBytes < this.#options.memoryBytesMax;
  }

  /** Memory held for what is not committed. */
  get heldBytes(): number {
    return (this.#teller?.batcher.pendingBytes ?? 0) + this.#queue.kept.bytes;
  }

  /** Bytes that the spool takes from the disk. */
  get diskBytes(): number {
    return this.#options.spool?.diskBytes ?? 0;
  }

  get isSpooling(): boolean {
    return this.#queue.isSpooling;
  }

  /** Whether there is a spool and it can be written. */
  get isSpoolUsable(): boolean {
    return this.#queue.spool !== undefined;
  }

  /** Messages lost because the spool was full. */
  get spoolFullMessages(): number {
    return this.#queue.spoolFullMessages;
  }

  /** The last position that the archive is known to have. */
  get archivedPosition(): number {
    return this.#teller?.batcher.committedPosition ?? this.#trimming.head;
  }

  /** What is archived through here would not be written again if the archive went back. */
  get settledPosition(): number {
    return Math.max(0, this.archivedPosition - this.#recent.messageCount);
  }

  /** The position that the last message heard has or will have. */
  get receivedPosition(): number {
    if (this.#teller === undefined) return this.#trimming.head + this.#queue.messageCount;
    return this.#teller.batcher.lastPosition + this.#teller.untoldMessages;
  }

  /** Messages up to here are in the archive or on the disk. */
  get durablePosition(): number {
    const durable = this.receivedPosition - this.#queue.kept.messageCount;
    return Math.max(this.archivedPosition, this.isSpoolUsable ? durable : 0);
  }

  /** The sessions of which something is kept; `isAll`: or would be, if the archive went back. */
  keptSessions(isAll = false): ReadonlySet<SessionId> {
    return isAll ? this.#queue.sessions().union(this.#recent.sessions()) : this.#queue.sessions();
  }

  /** The archive knows this session. */
  learn(progress: SessionProgress): void {
    this.#teller?.batcher.sessions.learn(progress);
    this.#front?.learn(progress);
  }

  /**
   * From now on `batcher` is told: first what is kept, of which only what it does not know. It has
   * to know all `keptSessions` that the archive has. `isOpening`: nothing has happened since
   * this backlog was opened, with what the batcher knows.
   */
  lead(batcher: Batcher, isOpening = false): void {
    const { spool } = this.#options;
    const drain = this.#drain;
    if (!isOpening) drain?.rewind();
    this.#queue.kept.markUntold();
    const teller = new Teller({
      ...this.#options,
      batcher,
      queue: this.#queue,
      drain,
      isRebased: !isOpening,
      recent: isOpening ? [] : this.#recent.all(),
      spoolNumber: isOpening ? this.#archivedThrough : (spool?.firstNumber ?? 1) - 1,
      onKnown: (event, heardAtUs) => this.#trimming.offer(event, heardAtUs),
      onRead: (kept) => this.#remember(kept),
      untoldMessages: isOpening ? this.#recoveredMessages : this.#queue.messageCount,
      onLoss: this.#options.onLoss,
    });
    teller.heard = this.#front;
    this.#teller = teller;
    if (!this.#queue.isSpooling && !teller.hasUntold) this.#forgetFront(teller);
    this.#work();
  }

  /** From now on nobody is told: what is not committed is kept until somebody has archived it. */
  stand(): void {
    const teller = this.#teller;
    if (teller === undefined) return;
    this.#front ??= teller.batcher.sessions.copy();
    this.#trimming.head = teller.batcher.committedPosition;
    this.#archivedThrough = (this.#options.spool?.firstNumber ?? 1) - 1;
    this.#teller = undefined;
    this.#queue.kept.markUntold();
  }

  /** Takes what a receiver tells. Message bytes must not change any more. */
  handleEvent(given: ReceiverEvent, nowMs: number, wallClockUs: number): void {
    const event = this.foreign.named(given);
    const identity = event.kind === 'opened' ? event : this.sessions.find(event.session);
    const heard = { event, heardAtUs: wallClockUs, identity };
    const teller = this.#teller;
    if (teller === undefined || this.#isBusy(teller)) return this.#keepUntold(heard, nowMs);
    teller.tellAtOnce(this.#queue.number(heard), nowMs);
    if (this.isSpoolUsable && teller.isLate(nowMs)) this.#startSpooling();
  }

  /** Lets time pass; to be called a few times a second. */
  handleTimeout(nowMs: number): void {
    this.#queue.declareFullSince(nowMs - DECLARE_AFTER_MS);
    this.#recent.trim(nowMs, this.#options.recentBytesMax());
    const teller = this.#teller;
    if (teller === undefined ? this.#queue.isSpooling : this.#isBusy(teller)) this.#work();
    else if (this.#queue.isRetryDue) this.#work();
    else if (teller !== undefined && teller.isLate(nowMs)) this.#startSpooling();
  }

  /** The batcher's batch was committed. */
  handleCommitted(): void {
    const teller = this.#teller;
    if (teller === undefined) return;
    this.#releaseCommitted(teller);
    if (this.#isBusy(teller) || teller.toldNumber > 0) this.#work();
  }

  /** On standby: somebody else has archived this much. */
  handleArchived(state: ArchivedState): void {
    if (this.#teller !== undefined) return;
    for (const kept of this.#trimming.handleArchived(state, this.#heard)) this.#remember(kept);
    this.#recent.trim(this.#options.nowMs(), this.#options.recentBytesMax());
    this.#work();
  }

  /** Resolves when nothing is being written or read. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  /**
   * Spools what is not committed, as far as that is possible, and closes the spool. Nothing may be
   * told or committed from here on. Idempotent.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#queue.declareFullSince(Number.POSITIVE_INFINITY);
    if (this.#queue.kept.first !== undefined) this.#startSpooling();
    await this.settled();
    await this.#queue.close();
  }

  get #heard(): SessionLedger {
    this.#front ??= new SessionLedger(this.#options.sessions);
    return this.#front;
  }

  #isBusy(teller: Teller): boolean {
    const hasOnlyMemory = this.#queue.waitsForSpool && !teller.hasRoom;
    return this.#queue.isSpooling || teller.hasUntold || hasOnlyMemory;
  }

  async #recover(): Promise<void> {
    const { spool, sessions } = this.#options;
    if (spool?.isOpen !== true || this.#drain === undefined) return;
    const archived = new SessionLedger(sessions);
    const { messageCount, hasNews } = await this.#drain.recover(archived, this.#heard, (found) =>
      this.#queue.noteSpooled(found),
    );
    this.#queue.recovered(spool.durableThrough);
    this.#archivedThrough = hasNews ? spool.firstNumber - 1 : spool.durableThrough;
    this.#recoveredMessages = messageCount;
    if (hasNews) this.#queue.startSpooling();
  }

  #startSpooling(): void {
    this.#queue.startSpooling();
    this.#place();
    this.#work();
  }

  #keepUntold(heard: SpooledEvent, nowMs: number): void {
    const teller = this.#teller;
    const front = (this.#front ??= teller?.batcher.sessions.copy() ?? this.#heard);
    if (teller !== undefined) teller.heard = front;
    const retelling = { framing: this.#options.framing, missing: 'corrupt' } as const;
    for (const news of newsOf(front, heard.event, retelling)) follow(front, news, heard.heardAtUs);
    if (this.#queue.keep(heard, nowMs, this.heldBytes)) teller?.addUntold(messagesIn(heard.event));
    if (teller !== undefined || this.#queue.isSpooling) return this.#work();
    const isMuch = this.#queue.kept.bytes >= this.#options.directBytesMax;
    if (isMuch && this.isSpoolUsable) this.#startSpooling();
  }

  /** It is in the archive: now, and after the server fails perhaps not. */
  #remember(kept: KeptEvent): void {
    this.#recent.push(kept, this.#options.spool?.lastNumber ?? 0, this.#options.nowMs());
  }

  #releaseCommitted({ batcher }: Teller): void {
    const { kept } = this.#queue;
    const { ordinal } = batcher.committedMark;
    for (let { first } = kept; first !== undefined; { first } = kept) {
      if (!kept.isFirstTold || first.ordinal > ordinal) break;
      this.#remember(first);
      this.#queue.release();
    }
    this.#recent.trim(this.#options.nowMs(), this.#options.recentBytesMax());
  }

  #work(): void {
    this.#hasMoreWork = true;
    this.#working ??= this.#run().finally(() => {
      this.#working = undefined;
      if (this.#hasMoreWork) this.#work();
    });
  }

  async #run(): Promise<void> {
    while (this.#hasMoreWork) {
      this.#hasMoreWork = false;
      await this.#mend();
      this.#place();
      await this.#queue.flush((durableThrough) => this.#settleFlushed(durableThrough));
      if (this.#isClosing) continue;
      if (this.#teller !== undefined) await this.#tellSome(this.#teller);
      await this.#trim();
      this.#goDirect();
    }
  }

  async #mend(): Promise<void> {
    const firstNumber = this.#isClosing ? undefined : await this.#queue.mend(this.#drain);
    if (firstNumber === undefined) return;
    this.#archivedThrough = Math.max(this.#archivedThrough, firstNumber - 1);
    this.#teller?.beginAt(firstNumber);
    if (this.#teller?.hasUntold === true) this.#queue.startSpooling();
  }

  /** What was told before there was need to spool it, and what found no room, in order. */
  #place(): void {
    this.#queue.place(this.#isClosing, (kept) => this.#teller?.placed(kept));
  }

  /** What is durable need not be kept: it is told now, or read back when there is room. */
  #settleFlushed(durableThrough: number): void {
    const nowMs = this.#options.nowMs();
    const teller = this.#isClosing ? undefined : this.#teller;
    const { kept } = this.#queue;
    for (let { first } = kept; first !== undefined; { first } = kept) {
      if (first.spoolNumber === 0 || first.spoolNumber > durableThrough) break;
      if (!kept.isFirstTold && teller?.isMemoryNext === true) teller.tellFirstUntold(nowMs);
      if (kept.isFirstTold) this.#remember(first);
      this.#queue.release();
    }
    this.#options.onWork();
  }

  async #tellSome(teller: Teller): Promise<void> {
    const isWanted = (): boolean => this.#teller === teller;
    const hasMore = await teller.tellSpooled(isWanted, this.#options.nowMs);
    if (!isWanted()) return;
    this.#hasMoreWork ||= hasMore;
    if (!this.#queue.isSpooling || this.#queue.isOverflowing) {
      teller.tellFromMemory(this.#options.nowMs());
      if (!teller.hasUntold && this.#queue.hasDeclaredAll) this.#forgetFront(teller);
    }
    this.#releaseCommitted(teller);
    this.#options.onWork();
  }

  async #trim(): Promise<void> {
    const teller = this.#teller;
    const archivedThrough = await this.#trimming.work();
    if (teller !== this.#teller) return;
    if (!teller) this.#archivedThrough = Math.max(this.#archivedThrough, archivedThrough);
    const through = teller?.committedNumber ?? this.#archivedThrough;
    if (through > 0) await this.#queue.trim(through);
  }

  /** Back to direct, if all but the last few has been told and the database keeps up. */
  #goDirect(): void {
    const teller = this.#teller;
    const toldNumber = teller?.toldNumber ?? this.#archivedThrough;
    if (!this.#queue.isSpooling || toldNumber < this.#queue.onDiskThrough) return;
    const { directBytesMax, waitMsMax } = this.#options;
    const nowMs = this.#options.nowMs();
    const hasRoom = this.heldBytes < directBytesMax / 2;
    if (!hasRoom || !this.#queue.hasDeclaredAll) return;
    if (teller === undefined) return this.#queue.stopSpooling();
    if (nowMs - teller.batcher.waitingSinceMs >= waitMsMax / 2) return;
    teller.tellFromMemory(nowMs);
    if (teller.hasUntold) return;
    this.#queue.stopSpooling();
    this.#forgetFront(teller);
    this.#options.onWork();
  }

  /** The batcher has been told everything, and knows of each session what was heard of it. */
  #forgetFront(teller: Teller): void {
    const front = this.#front;
    const [{ sessions }, nowMs] = [teller.batcher, this.#options.nowMs()];
    if (front !== undefined && this.#drain?.hasLost === true)
      for (const lost of missing(front, sessions, this.#queue)) teller.hand(lost, nowMs);
    if (front !== undefined && teller.isRebased)
      for (const told of reconcile(front, sessions)) teller.hand(told, nowMs);
    this.#front = undefined;
    teller.heard = undefined;
    teller.settle();
  }
}
