// What was heard and must be kept, in order: in memory, and behind that on the disk. Knows what the
// spool has room for and what it had none for. Does not know who is told, nor when (backlog).
//
// While the spool is in use, what comes goes to it and is kept in memory until it is durable. What
// it has no room for is lost, cause `spool_full`, declared through room kept for that.

import { BackcastError, type SessionId } from '#base/mod.ts';
import type { MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import { FullLosses } from './full-losses.ts';
import { type KeptEvent, KeptEvents } from './kept-events.ts';
import { type Spool, writeSpooledEvent } from './spool/mod.ts';
import { SpooledSpans } from './spooled-spans.ts';

/** What a queue is made of. */
export interface HeardQueueOptions {
  /** Owned from here on; undefined for none. */
  readonly spool: Spool | undefined;
  /** The spool had no room for these messages. */
  readonly onFull: (loss: MessagesLost) => void;
  /** The spool cannot be used any more; told once. */
  readonly onProblem: (error: BackcastError) => void;
}

/** The queue of one channel. */
export class HeardQueue {
  /** What is in memory, be it on its way to the disk. */
  readonly kept: KeptEvents = new KeptEvents();
  /** What lies on the disk only. */
  readonly spans: SpooledSpans = new SpooledSpans();
  readonly #options: HeardQueueOptions;
  readonly #full = new FullLosses();
  /** Usable for writing. */
  #spool: Spool | undefined;
  #isSpooling = false;
  #ordinal = 0;
  #onDiskThrough = 0;

  constructor(options: HeardQueueOptions) {
    this.#options = options;
    this.#spool = options.spool;
  }

  /** Usable for writing. */
  get spool(): Spool | undefined {
    return this.#spool;
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
  number(event: ReceiverEvent, heardAtUs: number): KeptEvent {
    this.#ordinal += 1;
    return { event, heardAtUs, ordinal: this.#ordinal, spoolNumber: 0 };
  }

  /**
   * Keeps what was heard: in the spool, or in memory if that is all there is. False if there was no
   * room: it is going to be declared lost.
   */
  keep(kept: KeptEvent, nowMs: number): boolean {
    const spool = this.#isSpooling && !this.isOverflowing ? this.#spool : undefined;
    const number = spool === undefined ? 0 : this.#append(spool, kept);
    if (number === undefined && kept.event.kind === 'messages') {
      this.#full.add(kept.event, kept.heardAtUs, nowMs);
      return false;
    }
    kept.spoolNumber = number ?? 0;
    this.kept.push(kept);
    return true;
  }

  /** From now on what is kept and what comes goes to the spool, if there is one. */
  startSpooling(): void {
    this.#isSpooling = this.#spool !== undefined;
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
    if (this.#spool === undefined || !this.#isSpooling) return;
    for (const kept of this.kept.unspooled()) {
      const isUrgent = isLast || kept.event.kind !== 'messages';
      const number = this.#spool.append(writeSpooledEvent(kept), isUrgent);
      if (number === undefined) return;
      kept.spoolNumber = number;
      onPlaced(kept);
    }
  }

  /** Makes durable what the spool was given; answers through which number it is. */
  async flush(): Promise<number | undefined> {
    const spool = this.#spool;
    if (spool === undefined) return undefined;
    if (spool.durableThrough < spool.lastNumber) await spool.flush();
    return spool.durableThrough;
  }

  /** The spool failed: what is in memory stays there. Throws anything that is not a disk's. */
  abandon(error: unknown): void {
    this.#spool = undefined;
    this.#isSpooling = false;
    this.kept.forgetNumbers();
    this.declareFullSince(Number.POSITIVE_INFINITY);
    if (!(error instanceof BackcastError)) throw error;
    this.#options.onProblem(error);
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
    await this.#options.spool?.trim(number).catch(() => undefined);
  }

  /** Declares what was lost for want of room before `sinceMs`. */
  declareFullSince(sinceMs: number): void {
    for (const session of this.#full.since(sinceMs)) this.#declareFull(session);
  }

  /** What was lost of its session before comes before it. */
  #append(spool: Spool, kept: KeptEvent): number | undefined {
    const { event } = kept;
    const content = writeSpooledEvent(kept);
    const isUrgent = event.kind !== 'messages';
    if (isUrgent || spool.hasRoom(content.length)) this.#declareFull(event.session);
    return this.isOverflowing ? 0 : spool.append(content, isUrgent);
  }

  #declareFull(session: SessionId): void {
    const full = this.#full.take(session);
    if (full === undefined) return;
    const kept = this.number(full.loss, full.heardAtUs);
    if (this.#isSpooling && !this.isOverflowing)
      kept.spoolNumber = this.#spool?.append(writeSpooledEvent(kept), true) ?? 0;
    this.kept.push(kept);
    this.#options.onFull(full.loss);
  }
}
