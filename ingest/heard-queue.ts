// What was heard and must be kept, in order: in memory, and behind that on the disk. Knows what the
// spool has room for and what it had none for. Does not know who is told, nor when (backlog).
//
// While the spool is in use, what comes goes to it and is kept in memory until it is durable. What
// it has no room for is lost, cause `spool_full`, declared through room kept for that. Where that
// is used up as well, some memory is left, and then nothing more is known than what is lost, which
// takes no room.

import type { SessionId } from '#base/mod.ts';
import type { MessagesLost } from '#multicast/core/mod.ts';
import { BacklogSpool, type BacklogSpoolOptions } from './backlog-spool.ts';
import { FullLosses } from './full-losses.ts';
import { type KeptEvent, KeptEvents } from './kept-events.ts';
import type { FoundEvent, SpoolDrain } from './spool-drain.ts';
import { type Spool, type SpooledEvent, writeSpooledEvent } from './spool/mod.ts';
import { SpooledSpans } from './spooled-spans.ts';

/** What a queue is made of. */
export interface HeardQueueOptions extends BacklogSpoolOptions {
  /** The spool had no room for these messages. */
  readonly onLoss: (loss: MessagesLost) => void;
  /** What may be held in memory. */
  readonly memoryBytesMax: number;
}

/** Of the memory, for messages that a full spool did not take; the rest is for all else. */
const OVERFLOW_MEMORY_SHARE = 0.75;

/** The queue of one channel. */
export class HeardQueue {
  /** What is in memory, be it on its way to the disk. */
  readonly kept: KeptEvents = new KeptEvents();
  /** What lies on the disk only. */
  readonly spans: SpooledSpans = new SpooledSpans();
  readonly #spool: BacklogSpool;
  readonly #full: FullLosses;
  readonly #overflowBytesMax: number;
  #isSpooling = false;
  #ordinal = 0;
  #onDiskThrough = 0;
  #lastHeardAtUs = 0;

  constructor(options: HeardQueueOptions) {
    this.#spool = new BacklogSpool(options);
    this.#full = new FullLosses(options.onLoss);
    this.#overflowBytesMax = options.memoryBytesMax * OVERFLOW_MEMORY_SHARE;
  }

  /** Usable for writing. */
  get spool(): Spool | undefined {
    return this.#spool.usable;
  }

  /** Whether there is a spool that only may be usable later. */
  get waitsForSpool(): boolean {
    return this.#spool.isWanted && this.spool === undefined;
  }

  /** Whether it is time to try a spool that failed. */
  get isRetryDue(): boolean {
    return this.#spool.isRetryDue;
  }

  /** Whether what comes goes to the spool. */
  get isSpooling(): boolean {
    return this.#isSpooling;
  }

  /** Something that must be kept had no room in the spool: all that comes waits behind it. */
  get isOverflowing(): boolean {
    return this.#isSpooling && this.kept.last?.spoolNumber === 0;
  }

  /** Whether nothing is lost for want of room that is not declared yet. */
  get hasDeclaredAll(): boolean {
    return this.#full.isEmpty;
  }

  /** Messages lost because the spool was full. */
  get spoolFullMessages(): number {
    return this.#full.messageCount;
  }

  /** Entries of the spool through this number are not in memory any more. */
  get onDiskThrough(): number {
    return this.#onDiskThrough;
  }

  /** What an earlier process left on the disk ends at `number`. */
  recovered(number: number): void {
    this.#onDiskThrough = number;
  }

  /** An earlier process left this on the disk. */
  noteSpooled({ number, spooled }: FoundEvent): void {
    this.#lastHeardAtUs = Math.max(this.#lastHeardAtUs, spooled.heardAtUs);
    this.spans.note(number, spooled.event);
  }

  /** When the last thing was heard. */
  get lastHeardAtUs(): number {
    return this.#lastHeardAtUs;
  }

  /** Messages in memory and on the disk. */
  get messageCount(): number {
    return this.kept.messageCount + this.spans.messageCount;
  }

  /** The sessions of which something is here. */
  sessions(): ReadonlySet<SessionId> {
    return this.kept.sessions().union(this.spans.sessions());
  }

  /** What is told of `from` is told of `to`. */
  rename(from: SessionId, to: SessionId): void {
    this.kept.rename(from, to);
    this.spans.rename(from, to);
  }

  /** What was heard, ready to be kept. */
  number({ event, heardAtUs, identity }: SpooledEvent): KeptEvent {
    this.#ordinal += 1;
    this.#lastHeardAtUs = Math.max(this.#lastHeardAtUs, heardAtUs);
    return { event, heardAtUs, identity, ordinal: this.#ordinal, spoolNumber: 0 };
  }

  /**
   * Keeps what was heard: in the spool, or in memory, of which `heldBytes` are in use, if that is
   * all there is. False if there was no room: it is going to be declared lost.
   */
  keep(heard: SpooledEvent, nowMs: number, heldBytes: number): boolean {
    const { event } = heard;
    const hasMemory = !this.#isSpooling || heldBytes < this.#overflowBytesMax;
    const spool = this.#isSpooling && !this.isOverflowing ? this.spool : undefined;
    const content = spool && writeSpooledEvent(heard);
    const isUrgent = event.kind !== 'messages';
    const hasRoom = content ? spool.hasRoom(content.length, isUrgent) : hasMemory;
    if (!isUrgent && !hasRoom) {
      this.#full.add(event, heard, nowMs);
      return false;
    }
    // What was lost of its session before comes before it, and may take the room.
    this.#declareFull(event.session);
    const kept = this.number(heard);
    if (content && !this.isOverflowing) kept.spoolNumber = spool.append(content, isUrgent) ?? 0;
    this.kept.push(kept);
    return true;
  }

  /** From now on what is kept and what comes goes to the spool, if there is one. */
  startSpooling(): void {
    this.#isSpooling = this.spool !== undefined;
  }

  /** From now on what comes stays in memory. */
  stopSpooling(): void {
    this.#isSpooling = false;
  }

  /**
   * Hands what is in memory and has no place in the spool to it, in order, as far as it has room;
   * `onPlaced` is told each. `isLast`: room kept for losses may be used.
   */
  place(isLast: boolean, onPlaced: (kept: KeptEvent) => void): void {
    const { spool } = this;
    if (spool === undefined || !this.#isSpooling) return;
    for (const kept of this.kept.unspooled()) {
      const isUrgent = isLast || kept.event.kind !== 'messages';
      const number = spool.append(writeSpooledEvent(kept), isUrgent);
      if (number === undefined) return;
      kept.spoolNumber = number;
      onPlaced(kept);
    }
  }

  /**
   * Makes durable what the spool was given; `onDurable` is told through which number it is. What
   * could not be made durable stays in memory.
   */
  async flush(onDurable: (number: number) => void): Promise<void> {
    const { spool } = this;
    if (spool === undefined) return;
    const outcome = await this.#spool.flush();
    onDurable(spool.durableThrough);
    if (outcome === 'durable') return;
    this.kept.forgetNumbers();
    if (outcome === 'full') return;
    this.#isSpooling = false;
    this.declareFullSince(Number.POSITIVE_INFINITY);
  }

  /**
   * Tries a spool that failed, if it is time; gives the first entry that is to be told of it when
   * it is usable again. What an earlier process has left in one that could not be opened is told
   * before what is to come, so that waits until what was told is committed.
   */
  async mend(drain: SpoolDrain | undefined): Promise<number | undefined> {
    let firstNumber = 0;
    const isUsable = await this.#spool.mend(async (spool) => {
      const isNew = this.#onDiskThrough === 0 && spool.durableThrough >= spool.firstNumber;
      if (!isNew) return true;
      if (this.kept.first !== undefined) return false;
      await drain?.takeUp((found) => this.noteSpooled(found));
      if (this.kept.first !== undefined) return false;
      this.#onDiskThrough = spool.durableThrough;
      ({ firstNumber } = spool);
      return true;
    });
    return isUsable ? firstNumber : undefined;
  }

  /** Lets go of the first thing in memory: it is committed, or durable. */
  release(): void {
    const { first } = this.kept;
    if (first === undefined) return;
    this.kept.shift();
    if (first.spoolNumber <= this.#onDiskThrough) return;
    this.#onDiskThrough = first.spoolNumber;
    this.spans.note(first.spoolNumber, first.event);
  }

  /** Entries of the spool through `number` are wanted no more. */
  async trim(number: number): Promise<void> {
    this.spans.forgetThrough(number);
    await this.#spool.trim(number);
  }

  /**
   * Declares what was lost for want of room before `sinceMs`. While nothing finds room on the disk,
   * losses grow in memory, and are only said.
   */
  declareFullSince(sinceMs: number): void {
    this.#full.saySince(sinceMs);
    if (this.isOverflowing) return;
    for (const session of this.#full.since(sinceMs)) this.#declareFull(session);
  }

  /** Closes the spool. Idempotent. */
  async close(): Promise<void> {
    await this.#spool[Symbol.asyncDispose]();
  }

  #declareFull(session: SessionId): void {
    const full = this.#full.take(session);
    if (full === undefined) return;
    const kept = this.number(full);
    if (this.#isSpooling && !this.isOverflowing)
      kept.spoolNumber = this.spool?.append(writeSpooledEvent(kept), true) ?? 0;
    this.kept.push(kept);
  }
}
