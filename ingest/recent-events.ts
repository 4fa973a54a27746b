// What was kept and is committed now, for some seconds more: a server that takes over from one that
// failed may lack the last commits, and then only those who heard the messages have them. Pure.

import type { SessionId } from '#base/mod.ts';
import type { MessagesDelivered, MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import { type KeptEvent, messagesIn } from './kept-events.ts';

/** A range that was heard, and behind which entry of the spool it lies. */
export interface RecentEvent {
  readonly event: MessagesDelivered | MessagesLost;
  readonly heardAtUs: number;
  readonly spoolBefore: number;
}

/** How far a server that takes over may be behind; more than a healthy one ever is. */
const RECENT_MS_MAX = 30_000;
/** Beside its payloads: the objects around them. */
const EVENT_OVERHEAD_BYTES = 200;
const COMPACT_AT = 1_024;

interface Dated extends RecentEvent {
  readonly atMs: number;
}

/** Ranges in the order in which they were heard, the oldest let go of first. */
export class RecentEvents {
  #events: (Dated | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #messageCount = 0;

  /** Messages in them. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** The sessions that they are about. */
  sessions(): Set<SessionId> {
    return new Set(this.all().map(({ event }) => event.session));
  }

  /** All of them, the oldest first. */
  all(): RecentEvent[] {
    return this.#events.slice(this.#head).filter((it) => it !== undefined);
  }

  /** What is told of `from` is told of `to`. */
  rename(from: SessionId, to: SessionId): void {
    this.#events = this.#events.map((recent) => {
      const isIt = recent?.event.session === from;
      return isIt ? { ...recent, event: { ...recent.event, session: to } } : recent;
    });
  }

  /** Takes what was kept, if it is a range; `spoolBefore`: the spool's last entry before it. */
  push({ event, heardAtUs, spoolNumber }: KeptEvent, spoolBefore: number, nowMs: number): void {
    if (event.kind !== 'messages' && event.kind !== 'lost') return;
    const before = spoolNumber === 0 ? spoolBefore : spoolNumber - 1;
    this.#events.push({ event, heardAtUs, spoolBefore: before, atMs: nowMs });
    this.#bytes += bytesOf(event);
    this.#messageCount += messagesIn(event);
  }

  /** Lets go of what is old, and of the oldest beyond `bytesMax`. */
  trim(nowMs: number, bytesMax: number): void {
    for (let oldest = this.#events[this.#head]; oldest; oldest = this.#events[this.#head]) {
      if (nowMs - oldest.atMs < RECENT_MS_MAX && this.#bytes <= bytesMax) break;
      this.#bytes -= bytesOf(oldest.event);
      this.#messageCount -= messagesIn(oldest.event);
      this.#events[this.#head] = undefined;
      this.#head += 1;
    }
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#events.length) return;
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }
}

function bytesOf(event: ReceiverEvent): number {
  return EVENT_OVERHEAD_BYTES + (event.kind === 'messages' ? event.end - event.start : 0);
}
