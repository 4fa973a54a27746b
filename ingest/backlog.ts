// Between a channel's receiver and its batcher: everything that was heard and is not committed is
// here, in order, in memory that is bounded whatever the database does.
//
//   direct     events go to the batcher at once, and are kept until they are committed
//   spooling   the batcher is full, or waits too long: what is kept and what comes goes to the
//              spool, and from there, durable and in order, to the batcher as it has room
//
// From spooling back to direct when all has been told and the database keeps up. Without a spool,
// or while it fails, everything is direct, and the owner must not listen while there is no room.
// What a spool has no room for is lost, cause `spool_full`, declared through room kept for it. Where
// that is used up as well, nothing more is heard than that messages are lost, which takes no room.

import type { SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { BacklogFront } from './backlog-front.ts';
import type { BacklogOptions } from './backlog-options.ts';
import { BacklogSpool } from './backlog-spool.ts';
import type { Batcher, BatchMark } from './batcher.ts';
import { FullLosses } from './full-losses.ts';
import { type KeptEvent, KeptEvents } from './kept-events.ts';
import { type Spool, type SpooledEvent, writeSpooledEvent } from './spool/mod.ts';
import { newsOf } from './spooled-history.ts';
import type { FoundEvent, SpoolDrain } from './spool-drain.ts';

/** A loss for want of room is on its way to the disk after this long. */
const DECLARE_AFTER_MS = 500;
/** Of the memory; the rest is for what is heard beside messages. */
const FULL_MEMORY_SHARE = 0.75;

/** The backlog of one channel. */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #batcher: Batcher;
  readonly #kept = new KeptEvents();
  readonly #full: FullLosses;
  readonly #front: BacklogFront;
  readonly #spool: BacklogSpool;
  #isSpooling = false;
  #isClosing = false;
  #told: BatchMark = { ordinal: 0, spoolNumber: 0 };
  /** Untold entries of the spool end here. */
  #onDiskThrough = 0;
  #working: Promise<void> | undefined;
  #hasMoreWork = false;

  private constructor(options: BacklogOptions) {
    this.#options = options;
    this.#batcher = options.batcher;
    this.#front = new BacklogFront(options.batcher);
    this.#full = new FullLosses(options.onLoss);
    this.#spool = new BacklogSpool(options);
  }

  /**
   * Opens a backlog on what an earlier process has spooled: its sessions are known at once, and
   * what is not archived goes to the batcher. Rejects if the archive does not answer.
   */
  static async open(options: BacklogOptions): Promise<Backlog> {
    const backlog = new Backlog(options);
    const { usable, drain } = backlog.#spool;
    if (usable && drain) await backlog.#recover(usable, drain);
    backlog.#work();
    return backlog;
  }

  /** What is known of the channel's sessions, to the last thing heard. */
  get sessions(): BacklogFront['sessions'] {
    return this.#front.sessions;
  }

  /** Whether more may be heard. */
  get hasRoom(): boolean {
    return this.heldBytes < this.#options.memoryBytesMax;
  }

  /** Memory held for what is not committed. */
  get heldBytes(): number {
    return this.#batcher.pendingBytes + this.#kept.bytes;
  }

  /** Bytes that the spool takes from the disk. */
  get diskBytes(): number {
    return this.#spool.diskBytes;
  }

  get isSpooling(): boolean {
    return this.#isSpooling;
  }
  /** Whether there is a spool and it can be written. */
  get isSpoolUsable(): boolean {
    return this.#spool.usable !== undefined;
  }

  /** Messages lost because the spool was full. */
  get spoolFullMessages(): number {
    return this.#full.messageCount;
  }

  /** The position that the last message heard has or will have. */
  get receivedPosition(): number {
    return this.#batcher.lastPosition + this.#front.untoldMessages;
  }

  /** Messages up to here are in the archive or on the disk. */
  get durablePosition(): number {
    const { committedPosition } = this.#batcher;
    if (this.#spool.usable === undefined) return committedPosition;
    return Math.max(committedPosition, this.receivedPosition - this.#kept.messageCount);
  }

  /** The archive knows this session. */
  learn(progress: SessionProgress): void {
    this.#front.learn(progress);
  }

  /** Takes what a receiver tells. Message bytes must not change any more. */
  handleEvent(event: ReceiverEvent, nowMs: number, wallClockUs: number): void {
    const spooled = this.#front.identify(event, wallClockUs);
    if (this.#mustWait) {
      this.#front.hear(spooled);
      this.#keepUntold(spooled, nowMs);
      return this.#work();
    }
    const kept = this.#kept.next(spooled);
    this.#tell(kept, nowMs);
    if (!this.#spool.isWanted) return;
    this.#kept.push(kept);
    this.#kept.markTold();
    if (this.#isLate(nowMs)) this.#startSpooling();
  }

  /** Lets time pass; to be called a few times a second. */
  handleTimeout(nowMs: number): void {
    this.#declareFullSince(nowMs - DECLARE_AFTER_MS);
    if (!this.#isSpooling && !this.#hasUntold && this.#isLate(nowMs)) this.#startSpooling();
    if (this.#isSpooling || this.#hasUntold || this.#spool.isRetryDue) this.#work();
  }

  /** The batcher's batch was committed. */
  handleCommitted(): void {
    const { ordinal } = this.#batcher.committedMark;
    for (let { first } = this.#kept; first !== undefined; { first } = this.#kept) {
      if (!this.#kept.isFirstTold || first.ordinal > ordinal) break;
      this.#release(first);
    }
    if (this.#isSpooling || this.#hasUntold || this.#told.spoolNumber > 0) this.#work();
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
    this.#declareFullSince(Number.POSITIVE_INFINITY);
    if (this.#kept.first !== undefined) this.#startSpooling();
    await this.settled();
    await this.#spool[Symbol.asyncDispose]();
  }

  get #hasUntold(): boolean {
    return this.#told.spoolNumber < this.#onDiskThrough || this.#kept.firstUntold !== undefined;
  }

  /** Something that must be kept had no room in the spool: all that comes waits behind it. */
  get #isOverflowing(): boolean {
    return this.#isSpooling && this.#kept.last?.spoolNumber === 0;
  }

  /** Whether what comes has to wait behind something, or for room in the batcher. */
  get #mustWait(): boolean {
    const hasOnlyMemory = this.#spool.isWanted && this.#spool.usable === undefined;
    return this.#isSpooling || this.#hasUntold || (hasOnlyMemory && !this.#hasBatcherRoom);
  }

  /** What a full spool leaves in memory has a bound of its own, so that more can still be heard. */
  get #hasMemory(): boolean {
    return !this.#isSpooling || this.heldBytes < this.#options.memoryBytesMax * FULL_MEMORY_SHARE;
  }

  get #hasBatcherRoom(): boolean {
    return this.#batcher.pendingBytes < this.#options.directBytesMax;
  }

  #isLate(nowMs: number): boolean {
    const waitedMs = nowMs - this.#batcher.waitingSinceMs;
    return !this.#hasBatcherRoom || waitedMs >= this.#options.waitMsMax;
  }

  async #recover(spool: Spool, drain: SpoolDrain): Promise<void> {
    const front = this.#batcher.sessions.copy();
    const { messageCount, hasNews, heardAtUs } = await drain.recover(this.#batcher.sessions, front);
    this.#onDiskThrough = spool.durableThrough;
    this.#told = { ordinal: 0, spoolNumber: hasNews ? spool.firstNumber - 1 : this.#onDiskThrough };
    if (!hasNews) return;
    this.#front.beginWith(front, messageCount, heardAtUs);
    this.#isSpooling = true;
  }

  #startSpooling(): void {
    const { usable } = this.#spool;
    if (usable === undefined) return;
    this.#isSpooling = true;
    this.#spoolKept(usable);
    this.#work();
  }

  /** To the spool, or to memory if that is all there is. */
  #keepUntold(spooled: SpooledEvent, nowMs: number): void {
    const { event, heardAtUs } = spooled;
    const spool = this.#isSpooling && !this.#isOverflowing ? this.#spool.usable : undefined;
    const isUrgent = event.kind !== 'messages';
    const content = spool && writeSpooledEvent(spooled);
    const isFull = content ? !spool.hasRoom(content.length, isUrgent) : !this.#hasMemory;
    if (!isUrgent && isFull) {
      this.#front.letGo(event);
      return this.#full.add(event, heardAtUs, nowMs);
    }
    this.#declareFull(event.session);
    const kept = this.#kept.next(spooled);
    // The declaration may have taken the room.
    if (content && !this.#isOverflowing) kept.spoolNumber = spool.append(content, isUrgent) ?? 0;
    this.#kept.push(kept);
  }

  /** While nothing finds room on the disk, losses grow in memory, and are only said. */
  #declareFullSince(sinceMs: number): void {
    this.#full.saySince(sinceMs);
    if (this.#isOverflowing) return;
    for (const session of this.#full.since(sinceMs)) this.#declareFull(session);
  }

  #declareFull(session: SessionId): void {
    const full = this.#full.take(session);
    if (full === undefined) return;
    const kept = this.#kept.next(this.#front.identify(full.loss, full.heardAtUs));
    if (this.#isSpooling && !this.#isOverflowing)
      kept.spoolNumber = this.#spool.usable?.append(writeSpooledEvent(kept), true) ?? 0;
    this.#kept.push(kept);
  }

  #tell(kept: KeptEvent, nowMs: number): void {
    const { ordinal, spoolNumber } = kept;
    this.#told = { ordinal, spoolNumber: Math.max(spoolNumber, this.#told.spoolNumber) };
    this.#hand(kept, nowMs);
  }

  #tellFirstUntold(nowMs: number): void {
    const kept = this.#kept.firstUntold;
    if (kept === undefined) return;
    this.#kept.markTold();
    this.#front.letGo(kept.event);
    this.#tell(kept, nowMs);
  }

  /** After damage, what the batcher was told need not be all that the receiver told. */
  #hand(spooled: SpooledEvent, nowMs: number): void {
    const { event, heardAtUs } = spooled;
    const isDamaged = this.#spool.drain?.isDamaged === true;
    const news = isDamaged ? newsOf(this.#batcher.sessions, spooled) : [event];
    for (const one of news) {
      this.#batcher.handleEvent(one, nowMs, heardAtUs, this.#told);
      if (one.kind === 'lost' && one.cause === 'corrupt') this.#options.onLoss(one);
    }
  }

  /** The first thing kept is committed or durable. */
  #release(first: KeptEvent): void {
    this.#kept.shift();
    this.#onDiskThrough = Math.max(this.#onDiskThrough, first.spoolNumber);
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
      await this.#flush();
      if (this.#isClosing) continue;
      await this.#drainSome();
      await this.#trim();
      this.#goDirect();
    }
  }

  async #mend(): Promise<void> {
    if (this.#isClosing || !(await this.#spool.mend((spool) => this.#takeUp(spool)))) return;
    this.#isSpooling ||= this.#hasUntold;
  }

  /**
   * Begins with a spool that could not be opened before. What an earlier process has left there is
   * told before what is to come, so it waits until what was told is committed.
   */
  #takeUp(spool: Spool): boolean {
    const hasOld = spool.firstNumber <= spool.durableThrough;
    if (hasOld && this.#kept.first !== undefined) return false;
    this.#onDiskThrough = spool.durableThrough;
    this.#told = { ...this.#told, spoolNumber: spool.firstNumber - 1 };
    if (hasOld) this.#front.begin();
    return true;
  }

  async #flush(): Promise<void> {
    const { usable: spool } = this.#spool;
    if (spool === undefined) return;
    if (this.#isSpooling) this.#spoolKept(spool);
    const hasNew = spool.durableThrough < spool.lastNumber;
    const outcome = hasNew ? await this.#spool.flush() : 'durable';
    this.#settleFlushed(spool.durableThrough);
    if (outcome === 'durable') return;
    this.#kept.forgetNumbers();
    if (outcome === 'full') return;
    this.#isSpooling = false;
    this.#declareFullSince(Number.POSITIVE_INFINITY);
  }

  /** What was told before there was need to spool it, and what found no room, in order. */
  #spoolKept(spool: Spool): void {
    for (const kept of this.#kept.unspooled()) {
      const isUrgent = this.#isClosing || kept.event.kind !== 'messages';
      const number = spool.append(writeSpooledEvent(kept), isUrgent);
      if (number === undefined) return;
      kept.spoolNumber = number;
      if (kept.ordinal <= this.#told.ordinal) this.#told = { ...this.#told, spoolNumber: number };
    }
  }

  /** What is durable need not be kept: it is told now, or read back when there is room. */
  #settleFlushed(durableThrough: number): void {
    const nowMs = this.#options.nowMs();
    for (let { first } = this.#kept; first !== undefined; { first } = this.#kept) {
      if (first.spoolNumber === 0 || first.spoolNumber > durableThrough) break;
      const isNext = this.#told.spoolNumber >= this.#onDiskThrough && this.#hasBatcherRoom;
      if (!this.#kept.isFirstTold && isNext && !this.#isClosing) this.#tellFirstUntold(nowMs);
      this.#release(first);
    }
    this.#options.onWork();
  }

  async #drainSome(): Promise<void> {
    const { drain } = this.#spool;
    const isBehind = this.#told.spoolNumber < this.#onDiskThrough;
    if (isBehind && this.#hasBatcherRoom && drain !== undefined) {
      const found = await drain.next(this.#told.spoolNumber, this.#batcher.sessions);
      if (found === 'unanswered') return;
      if (found.length === 0) this.#told = { ...this.#told, spoolNumber: this.#onDiskThrough };
      this.#tellFound(drain, found);
      this.#hasMoreWork ||= this.#hasBatcherRoom;
    }
    if (!this.#isSpooling || this.#isOverflowing) this.#tellFromMemory();
  }

  #tellFound(drain: SpoolDrain, found: readonly FoundEvent[]): void {
    const nowMs = this.#options.nowMs();
    for (const { number, spooled } of found) {
      if (!this.#hasBatcherRoom) break;
      drain.take(number);
      this.#told = { ...this.#told, spoolNumber: number };
      this.#front.letGo(spooled.event);
      this.#hand(spooled, nowMs);
    }
    this.#options.onWork();
  }

  /** The spool failed or is full, and what waits in memory is next. */
  #tellFromMemory(): void {
    const nowMs = this.#options.nowMs();
    while (this.#told.spoolNumber >= this.#onDiskThrough && this.#hasBatcherRoom) {
      if (this.#kept.firstUntold === undefined) break;
      this.#tellFirstUntold(nowMs);
    }
    if (!this.#hasUntold && this.#full.isEmpty) this.#endFront();
    this.#options.onWork();
  }

  /** All is told. What was heard all the same and is not among it was damaged on the disk. */
  #endFront(): void {
    for (const missing of this.#front.missing()) this.#hand(missing, this.#options.nowMs());
    this.#front.end();
  }

  async #trim(): Promise<void> {
    const isAll = this.#batcher.waitingSinceMs === Number.POSITIVE_INFINITY;
    const { spoolNumber } = isAll ? this.#told : this.#batcher.committedMark;
    if (spoolNumber > 0) await this.#spool.trim(spoolNumber);
  }

  /** Back to direct, if all but the last few has been told and the database keeps up. */
  #goDirect(): void {
    if (!this.#isSpooling || this.#told.spoolNumber < this.#onDiskThrough) return;
    const { directBytesMax, waitMsMax } = this.#options;
    const nowMs = this.#options.nowMs();
    const isKeepingUp = nowMs - this.#batcher.waitingSinceMs < waitMsMax / 2;
    const hasRoom = this.#batcher.pendingBytes + this.#kept.bytes < directBytesMax / 2;
    if (!isKeepingUp || !hasRoom || !this.#full.isEmpty) return;
    while (this.#kept.firstUntold !== undefined) this.#tellFirstUntold(nowMs);
    this.#isSpooling = false;
    this.#endFront();
    this.#options.onWork();
  }
}
