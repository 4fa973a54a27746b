// What a spool had no room for, by session: merged, so that an outage becomes few losses, until it
// is time to declare it. Pure.

import type { SessionId } from '#base/mod.ts';
import type { MessagesDelivered, MessagesLost } from '#multicast/core/mod.ts';

/** A loss, and when its first message was heard. */
export interface FullLoss {
  readonly loss: MessagesLost;
  readonly heardAtUs: number;
  readonly sinceMs: number;
}

/** The losses of one channel that are not declared yet. */
export class FullLosses {
  readonly #losses = new Map<SessionId, FullLoss>();
  #messageCount = 0;

  /** Messages lost so far, declared or not. */
  get messageCount(): number {
    return this.#messageCount;
  }

  get isEmpty(): boolean {
    return this.#losses.size === 0;
  }

  /** The messages of `event` are lost; they follow those lost of its session before. */
  add(event: MessagesDelivered, heardAtUs: number, nowMs: number): void {
    const { session, firstSequence, lastSequence, nextSqn, messageCount } = event;
    this.#messageCount += messageCount;
    const known = this.#losses.get(session);
    const loss: MessagesLost = {
      kind: 'lost',
      session,
      firstSequence: known?.loss.firstSequence ?? firstSequence,
      lastSequence,
      cause: 'spool_full',
      nextSqn,
    };
    this.#losses.set(session, { sinceMs: nowMs, heardAtUs, ...known, loss });
  }

  /** What is lost of `session`, which is to be declared now. */
  take(session: SessionId): FullLoss | undefined {
    const full = this.#losses.get(session);
    this.#losses.delete(session);
    return full;
  }

  /** Sessions whose loss began at or before `sinceMs`. */
  since(sinceMs: number): SessionId[] {
    const due = [...this.#losses].filter(([, full]) => full.sinceMs <= sinceMs);
    return due.map(([session]) => session);
  }
}
