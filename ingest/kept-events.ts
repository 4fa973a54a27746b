// What was heard and is neither on a disk nor in the archive yet, in order: the memory of a
// backlog. The first of it may have been told to the batcher already. Pure.

import { assert, type SessionId } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import type { SpooledEvent } from './spool/mod.ts';

/** One thing heard. */
export interface KeptEvent extends SpooledEvent {
  /** 1, 2, 3 … over everything heard. */
  readonly ordinal: number;
  /** Its number in the spool; 0 while it is not there. */
  spoolNumber: number;
}

/** Beside its payloads: the objects around them. */
const EVENT_OVERHEAD_BYTES = 200;
const COMPACT_AT = 1_024;

/** Events in the order in which they were heard. */
export class KeptEvents {
  #events: KeptEvent[] = [];
  #head = 0;
  #toldCount = 0;
  #bytes = 0;
  #messageCount = 0;

  /** Memory that they hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Messages in them. */
  get messageCount(): number {
    return this.#messageCount;
  }

  get first(): KeptEvent | undefined {
    return this.#events[this.#head];
  }

  get last(): KeptEvent | undefined {
    return this.#head < this.#events.length ? this.#events.at(-1) : undefined;
  }

  /** The first that has not been told. */
  get firstUntold(): KeptEvent | undefined {
    return this.#events[this.#head + this.#toldCount];
  }

  /** Whether the first has been told. */
  get isFirstTold(): boolean {
    return this.#toldCount > 0;
  }

  /** Those that are not in the spool, which are behind those that are. */
  unspooled(): KeptEvent[] {
    let start = this.#events.length;
    while (start > this.#head && this.#events[start - 1]?.spoolNumber === 0) start -= 1;
    return this.#events.slice(start);
  }

  push(kept: KeptEvent): void {
    this.#events.push(kept);
    this.#bytes += bytesOf(kept.event);
    this.#messageCount += messagesIn(kept.event);
  }

  /** The first untold one has been told. */
  markTold(): void {
    assert(this.firstUntold !== undefined, 'one is left to be told');
    this.#toldCount += 1;
  }

  /** Lets go of the first one. */
  shift(): void {
    const { first } = this;
    assert(first !== undefined, 'one is left');
    this.#head += 1;
    this.#toldCount = Math.max(0, this.#toldCount - 1);
    this.#forget(first.event);
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }

  /** None of them has been told. */
  markUntold(): void {
    this.#toldCount = 0;
  }

  /** The sessions that they are about. */
  sessions(): Set<SessionId> {
    return new Set(this.#events.slice(this.#head).map(({ event }) => event.session));
  }

  /** Of each session the first sequence that they are about. */
  firstSequences(): Map<SessionId, number> {
    const firsts = new Map<SessionId, number>();
    for (const { event } of this.#events.slice(this.#head)) {
      if (event.kind !== 'messages' && event.kind !== 'lost') continue;
      if (!firsts.has(event.session)) firsts.set(event.session, event.firstSequence);
    }
    return firsts;
  }

  /** Takes out those of which `isWanted` holds and that are in no spool; none may be told. */
  take(isWanted: (event: ReceiverEvent) => boolean): KeptEvent[] {
    assert(this.#toldCount === 0, 'what was told is let go of in order');
    const taken: KeptEvent[] = [];
    const left: KeptEvent[] = [];
    for (const kept of this.#events.slice(this.#head))
      (kept.spoolNumber === 0 && isWanted(kept.event) ? taken : left).push(kept);
    this.#events = left;
    this.#head = 0;
    for (const { event } of taken) this.#forget(event);
    return taken;
  }

  /** What is told of `from` is told of `to`. */
  rename(from: SessionId, to: SessionId): void {
    this.#events = this.#events.map((kept) => {
      const { event } = kept;
      return event.session === from ? { ...kept, event: { ...event, session: to } } : kept;
    });
  }

  /** None of them is in a spool. */
  forgetNumbers(): void {
    for (const kept of this.#events) kept.spoolNumber = 0;
  }

  #forget(event: ReceiverEvent): void {
    this.#bytes -= bytesOf(event);
    this.#messageCount -= messagesIn(event);
  }
}

/** Messages that `event` tells. */
export function messagesIn(event: ReceiverEvent): number {
  return event.kind === 'messages' ? event.messageCount : 0;
}

function bytesOf(event: ReceiverEvent): number {
  return EVENT_OVERHEAD_BYTES + (event.kind === 'messages' ? event.end - event.start : 0);
}
