// Tells one batcher what was heard, in order: what was committed once and may not be any more, what
// lies in the spool, what is kept in memory. Serves for as long as this archiver writes the
// channel; the next time, another one begins at the start again. Decides nothing about time or room
// on the disk (backlog).

import type { Framing } from '#base/mod.ts';
import type { MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import type { Batcher, BatchMark } from './batcher.ts';
import type { HeardQueue } from './heard-queue.ts';
import { type KeptEvent, messagesIn } from './kept-events.ts';
import type { RecentEvent } from './recent-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { FoundEvent, SpoolDrain } from './spool-drain.ts';
import type { SpooledEvent } from './spool/mod.ts';
import { newsOf, type Retelling } from './spooled-history.ts';

/** What a teller is made of. */
export interface TellerOptions {
  readonly batcher: Batcher;
  readonly queue: HeardQueue;
  readonly drain: SpoolDrain | undefined;
  readonly framing: Framing;
  /** What the batcher may hold before it takes no more. */
  readonly directBytesMax: number;
  /** How long what it was told may wait for its commit before it is late. */
  readonly waitMsMax: number;
  /**
   * Whether the batcher may know part of what it is told, because somebody else has written, or
   * less than it did, because the archive went back.
   */
  readonly isRebased: boolean;
  /** To be told before what is kept. */
  readonly recent: readonly RecentEvent[];
  /** Entries of the spool through this number need not be told. */
  readonly spoolNumber: number;
  /** Messages in all that. */
  readonly untoldMessages: number;
  /** These messages were damaged in the spool. */
  readonly onLoss: (loss: MessagesLost) => void;
  /** It was read from the spool, and has been told. */
  readonly onRead: (kept: KeptEvent) => void;
  /** The batcher knows it, or part of it, already; perhaps as lost. */
  readonly onKnown: (event: ReceiverEvent, heardAtUs: number) => void;
}

/** What one batcher is told. */
export class Teller {
  readonly batcher: Batcher;
  readonly #options: TellerOptions;
  readonly #queue: HeardQueue;
  #recent: readonly RecentEvent[];
  #told: BatchMark;
  #untoldMessages: number;

  constructor(options: TellerOptions) {
    this.batcher = options.batcher;
    this.#options = options;
    this.#queue = options.queue;
    this.#recent = options.recent;
    this.#untoldMessages = options.untoldMessages;
    this.#told = { ordinal: 0, spoolNumber: options.spoolNumber };
  }

  /** Whether what is told need not begin where what the batcher knows ends. */
  get isRebased(): boolean {
    return this.#options.isRebased;
  }

  /** The last entry of the spool that has been told. */
  get toldNumber(): number {
    return this.#told.spoolNumber;
  }

  /** Whether something was heard that has not been told. */
  get hasUntold(): boolean {
    return this.#isBehind || this.#recent.length > 0 || this.#queue.kept.firstUntold !== undefined;
  }

  /** Messages heard and not told, about. */
  get untoldMessages(): number {
    return this.#untoldMessages;
  }

  /** Whether the batcher takes more. */
  get hasRoom(): boolean {
    return this.batcher.pendingBytes < this.#options.directBytesMax;
  }

  /** Whether more is to be read back: on the disk it waits as well, and takes no memory. */
  get #readsOn(): boolean {
    return this.batcher.pendingBytes < this.#options.directBytesMax / 2;
  }

  /** Whether the database does not keep up. */
  isLate(nowMs: number): boolean {
    return !this.hasRoom || nowMs - this.batcher.waitingSinceMs >= this.#options.waitMsMax;
  }

  /** Whether all that was heard before what is in memory has been told, and there is room. */
  get isMemoryNext(): boolean {
    return !this.#isBehind && this.#recent.length === 0 && this.hasRoom;
  }

  /** The last entry of the spool that is told and committed; 0 if there is none. */
  get committedNumber(): number {
    const isAll = this.batcher.waitingSinceMs === Number.POSITIVE_INFINITY;
    return isAll ? this.#told.spoolNumber : this.batcher.committedMark.spoolNumber;
  }

  /** Messages were heard that are not told yet. */
  addUntold(messageCount: number): void {
    this.#untoldMessages += messageCount;
  }

  /** What was told has got a place in the spool. */
  placed({ ordinal, spoolNumber }: KeptEvent): void {
    if (ordinal <= this.#told.ordinal) this.#told = { ...this.#told, spoolNumber };
  }

  /** Tells what was just heard, with nothing before it, and keeps it. */
  tellAtOnce(kept: KeptEvent, nowMs: number): void {
    this.#tell(kept, nowMs);
    this.#queue.kept.push(kept);
    this.#queue.kept.markTold();
    this.letGoOfTold();
  }

  /** Tells the first thing in memory that has not been told. */
  tellFirstUntold(nowMs: number): void {
    const kept = this.#queue.kept.firstUntold;
    if (kept === undefined) return;
    this.#queue.kept.markTold();
    this.#untold(-messagesIn(kept.event));
    this.#tell(kept, nowMs);
  }

  /**
   * Reads on in the spool, which must not be done twice at once; `isWanted`: whether this teller
   * still serves. True if there may be more to read, and room.
   */
  async tellSpooled(isWanted: () => boolean, nowMs: () => number): Promise<boolean> {
    const { drain } = this.#options;
    if (!this.#isBehind || !this.#readsOn || drain === undefined) return false;
    const found = await drain.next(this.#told.spoolNumber, this.batcher.sessions);
    if (found === 'unanswered' || !isWanted()) return false;
    if (found.length === 0) this.#passThrough(this.#queue.onDiskThrough);
    this.#tellFound(drain, found, nowMs());
    return this.#readsOn;
  }

  /** Tells what is in memory, as far as it is next. */
  tellFromMemory(nowMs: number): void {
    if (!this.#isBehind) this.#tellRecent(Number.POSITIVE_INFINITY, nowMs);
    while (this.isMemoryNext && this.#queue.kept.firstUntold !== undefined)
      this.tellFirstUntold(nowMs);
    this.letGoOfTold();
  }

  /** Tells an event that is heard, or kept for long, or that follows from what is known. */
  hand({ event, heardAtUs, identity }: SpooledEvent, nowMs: number): void {
    const { isRebased, drain, onLoss } = this.#options;
    if (!isRebased && drain?.isDamaged !== true)
      return this.batcher.handleEvent(event, nowMs, heardAtUs, this.#told);
    const retelling = { ...this.#retelling, identity };
    const news = newsOf(this.batcher.sessions, event, retelling);
    for (const one of news) {
      this.batcher.handleEvent(one, nowMs, heardAtUs, this.#told);
      if (one.kind === 'lost' && one.cause === 'corrupt') onLoss(one);
    }
    if (news.length === 0) this.batcher.pass(this.#told);
    if (news.at(-1) !== event) this.#options.onKnown(event, heardAtUs);
  }

  /** Without a spool, now or later, memory is for what the batcher has not been told. */
  letGoOfTold(): void {
    const { kept, spool, waitsForSpool } = this.#queue;
    if (spool !== undefined || waitsForSpool) return;
    const bytesMax = this.#options.directBytesMax / 2;
    while (kept.isFirstTold && kept.bytes > bytesMax) this.#queue.release();
  }

  /** A spool that was opened late holds nothing before `firstNumber`. */
  beginAt(firstNumber: number): void {
    this.#passThrough(Math.max(this.#told.spoolNumber, firstNumber - 1));
  }

  /** All has been told. */
  settle(): void {
    this.#untoldMessages = 0;
  }

  /** What sessions are like whose opening is not told again, as far as it was heard. */
  heard: SessionLedger | undefined;

  get #isBehind(): boolean {
    return this.#told.spoolNumber < this.#queue.onDiskThrough;
  }

  get #retelling(): Retelling {
    const { isRebased, drain, framing } = this.#options;
    const missing = isRebased && drain?.hasLost !== true ? 'resync' : 'corrupt';
    return { framing, missing, heard: this.heard };
  }

  #untold(messageCount: number): void {
    this.#untoldMessages = Math.max(0, this.#untoldMessages + messageCount);
  }

  #tell(kept: KeptEvent, nowMs: number): void {
    const { ordinal, spoolNumber } = kept;
    this.#told = { ordinal, spoolNumber: Math.max(spoolNumber, this.#told.spoolNumber) };
    this.hand(kept, nowMs);
  }

  #passThrough(number: number): void {
    this.#told = { ...this.#told, spoolNumber: number };
  }

  #tellFound(drain: SpoolDrain, found: readonly FoundEvent[], nowMs: number): void {
    for (const { number, spooled } of found) {
      this.#tellRecent(number, nowMs);
      if (!this.#readsOn) return;
      drain.take(number);
      this.#passThrough(number);
      this.#untold(-messagesIn(spooled.event));
      this.hand(spooled, nowMs);
      this.#options.onRead({ ...spooled, ordinal: 0, spoolNumber: number });
    }
  }

  /** What was committed once, as far as it was heard before the entry `number` of the spool. */
  #tellRecent(number: number, nowMs: number): void {
    let count = 0;
    for (const recent of this.#recent) {
      if (recent.spoolBefore >= number || !this.hasRoom) break;
      this.hand(recent, nowMs);
      count += 1;
    }
    if (count > 0) this.#recent = this.#recent.slice(count);
  }
}
