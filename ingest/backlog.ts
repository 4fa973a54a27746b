// Between a channel's receiver and its batcher: everything that was heard and is not committed is
// here, in order, in memory that is bounded whatever the database does.
//
//   direct     events go to the batcher at once, and are kept until they are committed
//   spooling   the batcher is full, or waits too long: what is kept and what comes goes to the
//              spool, and from there, durable and in order, to the batcher as it has room
//
// From spooling back to direct when all has been told and the database keeps up. Without a spool,
// or after it failed, everything is direct, and the owner must not listen while there is no room.
// What a spool has no room for is lost, cause `spool_full`, declared through room kept for it.

import { BackcastError, type SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import type { BacklogOptions } from './backlog-options.ts';
import type { Batcher, BatchMark } from './batcher.ts';
import { FullLosses } from './full-losses.ts';
import { type KeptEvent, KeptEvents, messagesIn } from './kept-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import { type Spool, writeSpooledEvent } from './spool/mod.ts';
import { follow, newsOf } from './spooled-history.ts';
import { type FoundEvent, SpoolDrain } from './spool-drain.ts';

/** A loss for want of room is on its way to the disk after this long. */
const DECLARE_AFTER_MS = 500;

/** The backlog of one channel. */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #batcher: Batcher;
  readonly #kept = new KeptEvents();
  readonly #full = new FullLosses();
  readonly #drain: SpoolDrain | undefined;
  /** Usable for writing. */
  #spool: Spool | undefined;
  /** What the sessions are like where the batcher has not been told everything. */
  #front: SessionLedger | undefined;
  #isSpooling = false;
  #isClosing = false;
  #told: BatchMark = { ordinal: 0, spoolNumber: 0 };
  #ordinal = 0;
  /** Untold entries of the spool end here. */
  #onDiskThrough = 0;
  #untoldMessages = 0;
  #working: Promise<void> | undefined;
  #hasMoreWork = false;

  private constructor(options: BacklogOptions) {
    this.#options = options;
    this.#batcher = options.batcher;
    this.#spool = options.spool;
    this.#drain = options.spool && new SpoolDrain(options.spool, options.findSessions);
  }

  /**
   * Opens a backlog on what an earlier process has spooled: its sessions are known at once, and
   * what is not archived goes to the batcher. Rejects if the archive does not answer.
   */
  static async open(options: BacklogOptions): Promise<Backlog> {
    const backlog = new Backlog(options);
    const { spool } = options;
    if (spool && backlog.#drain) await backlog.#recover(spool, backlog.#drain);
    backlog.#work();
    return backlog;
  }

  /** What is known of the channel's sessions, to the last thing heard. */
  get sessions(): Pick<
    SessionLedger,
    'hasForgotten' | 'recall' | 'recallForeign' | 'openSessions'
  > {
    return this.#front ?? this.#batcher.sessions;
  }

  /** Whether more may be heard. */
  get hasRoom(): boolean {
    return this.heldBytes < this.#options.memoryBytesMax && !this.#isOverflowing;
  }

  /** Memory held for what is not committed. */
  get heldBytes(): number {
    return this.#batcher.pendingBytes + this.#kept.bytes;
  }

  /** Bytes that the spool takes from the disk. */
  get diskBytes(): number {
    return this.#options.spool?.diskBytes ?? 0;
  }

  get isSpooling(): boolean {
    return this.#isSpooling;
  }
  /** Whether there is a spool and it can be written. */
  get isSpoolUsable(): boolean {
    return this.#spool !== undefined;
  }

  /** Messages lost because the spool was full. */
  get spoolFullMessages(): number {
    return this.#full.messageCount;
  }

  /** The position that the last message heard has or will have. */
  get receivedPosition(): number {
    return this.#batcher.lastPosition + this.#untoldMessages;
  }

  /** Messages up to here are in the archive or on the disk. */
  get durablePosition(): number {
    const { committedPosition } = this.#batcher;
    if (this.#spool === undefined) return committedPosition;
    return Math.max(committedPosition, this.receivedPosition - this.#kept.messageCount);
  }

  /** The archive knows this session. */
  learn(progress: SessionProgress): void {
    this.#batcher.sessions.learn(progress);
    this.#front?.learn(progress);
  }

  /** Takes what a receiver tells. Message bytes must not change any more. */
  handleEvent(event: ReceiverEvent, nowMs: number, wallClockUs: number): void {
    const kept = this.#newKept(event, wallClockUs);
    if (this.#isSpooling || this.#hasUntold) {
      this.#front ??= this.#batcher.sessions.copy();
      follow(this.#front, event, wallClockUs);
      this.#untoldMessages += messagesIn(event);
      this.#keepUntold(kept, nowMs);
      return this.#work();
    }
    this.#tell(kept, nowMs);
    if (this.#spool === undefined) return;
    this.#kept.push(kept);
    this.#kept.markTold();
    if (this.#isLate(nowMs)) this.#startSpooling();
  }

  /** Lets time pass; to be called a few times a second. */
  handleTimeout(nowMs: number): void {
    this.#declareFullSince(nowMs - DECLARE_AFTER_MS);
    if (!this.#isSpooling && !this.#hasUntold && this.#isLate(nowMs)) this.#startSpooling();
    if (this.#isSpooling || this.#hasUntold) this.#work();
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
    await this.#options.spool?.[Symbol.asyncDispose]();
  }

  get #hasUntold(): boolean {
    return this.#told.spoolNumber < this.#onDiskThrough || this.#kept.firstUntold !== undefined;
  }

  /** Something that must be kept had no room in the spool: all that comes waits behind it. */
  get #isOverflowing(): boolean {
    return this.#isSpooling && this.#kept.last?.spoolNumber === 0;
  }

  get #hasBatcherRoom(): boolean {
    return this.#batcher.pendingBytes < this.#options.directBytesMax;
  }

  #isLate(nowMs: number): boolean {
    const waitedMs = nowMs - this.#batcher.waitingSinceMs;
    return !this.#hasBatcherRoom || waitedMs >= this.#options.waitMsMax;
  }

  #newKept(event: ReceiverEvent, heardAtUs: number): KeptEvent {
    this.#ordinal += 1;
    return { event, heardAtUs, ordinal: this.#ordinal, spoolNumber: 0 };
  }

  async #recover(spool: Spool, drain: SpoolDrain): Promise<void> {
    const front = this.#batcher.sessions.copy();
    const { messageCount, hasNews } = await drain.recover(this.#batcher.sessions, front);
    this.#onDiskThrough = spool.durableThrough;
    this.#told = { ordinal: 0, spoolNumber: hasNews ? spool.firstNumber - 1 : this.#onDiskThrough };
    if (!hasNews) return;
    this.#front = front;
    this.#untoldMessages = messageCount;
    this.#isSpooling = true;
  }

  #startSpooling(): void {
    if (this.#spool === undefined) return;
    this.#isSpooling = true;
    this.#spoolKept(this.#spool);
    this.#work();
  }

  /** To the spool, or to memory if that is all there is. */
  #keepUntold(kept: KeptEvent, nowMs: number): void {
    const spool = this.#isSpooling ? this.#spool : undefined;
    if (spool === undefined || this.#isOverflowing) return this.#kept.push(kept);
    const { event } = kept;
    const content = writeSpooledEvent(kept);
    if (event.kind !== 'messages') {
      this.#declareFull(event.session);
      kept.spoolNumber = this.#isOverflowing ? 0 : (spool.append(content, true) ?? 0);
      return this.#kept.push(kept);
    }
    if (spool.hasRoom(content.length)) this.#declareFull(event.session);
    const number = this.#isOverflowing ? 0 : spool.append(content);
    if (number === undefined) {
      this.#untoldMessages -= event.messageCount;
      return this.#full.add(event, kept.heardAtUs, nowMs);
    }
    kept.spoolNumber = number;
    this.#kept.push(kept);
  }

  #declareFullSince(sinceMs: number): void {
    for (const session of this.#full.since(sinceMs)) this.#declareFull(session);
  }

  #declareFull(session: SessionId): void {
    const full = this.#full.take(session);
    if (full === undefined) return;
    const kept = this.#newKept(full.loss, full.heardAtUs);
    if (this.#isSpooling && !this.#isOverflowing)
      kept.spoolNumber = this.#spool?.append(writeSpooledEvent(kept), true) ?? 0;
    this.#kept.push(kept);
    this.#options.onFull(full.loss);
  }

  #tell({ event, heardAtUs, ordinal, spoolNumber }: KeptEvent, nowMs: number): void {
    const mark = { ordinal, spoolNumber: Math.max(spoolNumber, this.#told.spoolNumber) };
    this.#told = mark;
    this.#hand(event, nowMs, heardAtUs);
  }

  #tellFirstUntold(nowMs: number): void {
    const kept = this.#kept.firstUntold;
    if (kept === undefined) return;
    this.#kept.markTold();
    this.#untoldMessages -= messagesIn(kept.event);
    this.#tell(kept, nowMs);
  }

  /** After damage, what the batcher was told need not be all that the receiver told. */
  #hand(event: ReceiverEvent, nowMs: number, heardAtUs: number): void {
    const news = this.#drain?.isDamaged === true ? newsOf(this.#batcher.sessions, event) : [event];
    for (const one of news) this.#batcher.handleEvent(one, nowMs, heardAtUs, this.#told);
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
      await this.#flush();
      if (this.#isClosing) continue;
      await this.#drainSome();
      await this.#trim();
      this.#goDirect();
    }
  }

  async #flush(): Promise<void> {
    const spool = this.#spool;
    if (spool === undefined) return;
    if (this.#isSpooling) this.#spoolKept(spool);
    if (spool.durableThrough < spool.lastNumber) {
      await spool.flush().catch((error: unknown) => this.#abandonSpool(spool, error));
    }
    this.#settleFlushed(spool.durableThrough);
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

  #abandonSpool(spool: Spool, error: unknown): void {
    this.#settleFlushed(spool.durableThrough);
    this.#spool = undefined;
    this.#isSpooling = false;
    this.#kept.forgetNumbers();
    this.#declareFullSince(Number.POSITIVE_INFINITY);
    if (!(error instanceof BackcastError)) throw error;
    this.#options.onProblem(error);
  }

  async #drainSome(): Promise<void> {
    const drain = this.#drain;
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
      this.#untoldMessages = Math.max(0, this.#untoldMessages - messagesIn(spooled.event));
      this.#hand(spooled.event, nowMs, spooled.heardAtUs);
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
    if (this.#spool === undefined) {
      while (this.#kept.isFirstTold && this.#kept.first !== undefined)
        this.#release(this.#kept.first);
    }
    if (!this.#hasUntold && this.#full.isEmpty) this.#forgetFront();
    this.#options.onWork();
  }

  async #trim(): Promise<void> {
    const isAll = this.#batcher.waitingSinceMs === Number.POSITIVE_INFINITY;
    const { spoolNumber } = isAll ? this.#told : this.#batcher.committedMark;
    if (spoolNumber > 0) await this.#options.spool?.trim(spoolNumber).catch(() => undefined);
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
    this.#forgetFront();
    this.#options.onWork();
  }

  #forgetFront(): void {
    this.#front = undefined;
    this.#untoldMessages = 0;
  }
}
