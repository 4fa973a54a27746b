// What a spool had no room for, by session: merged, so that an outage becomes few losses, until it
// is time to put it among what is told, or only to say so. Pure.

import type { SessionId } from '#base/mod.ts';
import type { MessagesDelivered, MessagesLost } from '#multicast/core/mod.ts';
import type { SpooledEvent } from './spool/mod.ts';

/** A loss, heard when its first message was. */
export interface FullLoss extends SpooledEvent {
  readonly event: MessagesLost;
}

/** A loss that still grows. */
interface OpenLoss extends FullLoss {
  readonly sinceMs: number;
  /** What of it was said to whoever wants to know, and since when there is more. */
  readonly saidThrough: number;
  readonly unsaidSinceMs: number;
}

/** The losses of one channel that are not put among what is told yet. */
export class FullLosses {
  readonly #losses = new Map<SessionId, OpenLoss>();
  readonly #say: (loss: MessagesLost) => void;
  #messageCount = 0;

  /** `say` is told of each part of a loss once. */
  constructor(say: (loss: MessagesLost) => void) {
    this.#say = say;
  }

  /** Messages lost so far, told or not. */
  get messageCount(): number {
    return this.#messageCount;
  }

  get isEmpty(): boolean {
    return this.#losses.size === 0;
  }

  /** The messages of `event` are lost; they follow those lost of its session before. */
  add(event: MessagesDelivered, heard: Omit<SpooledEvent, 'event'>, nowMs: number): void {
    const { session, firstSequence, lastSequence, nextSqn, messageCount } = event;
    const { heardAtUs, identity } = heard;
    this.#messageCount += messageCount;
    const known = this.#losses.get(session);
    const loss: MessagesLost = {
      kind: 'lost',
      session,
      firstSequence: known?.event.firstSequence ?? firstSequence,
      lastSequence,
      cause: 'spool_full',
      nextSqn,
    };
    const saidThrough = firstSequence - 1;
    const unsaidSinceMs = known?.saidThrough === saidThrough ? nowMs : known?.unsaidSinceMs;
    this.#losses.set(session, {
      sinceMs: nowMs,
      heardAtUs,
      identity,
      saidThrough,
      ...known,
      unsaidSinceMs: unsaidSinceMs ?? nowMs,
      event: loss,
    });
  }

  /** What is lost of `session`, which is to be told now. */
  take(session: SessionId): FullLoss | undefined {
    const full = this.#losses.get(session);
    if (full !== undefined) this.#sayRest(full);
    this.#losses.delete(session);
    return full;
  }

  /** Says what is lost since `sinceMs` or longer. */
  saySince(sinceMs: number): void {
    for (const full of this.#losses.values())
      if (full.unsaidSinceMs <= sinceMs) this.#sayRest(full);
  }

  /** Sessions whose loss began at or before `sinceMs`. */
  since(sinceMs: number): SessionId[] {
    const due = [...this.#losses].filter(([, full]) => full.sinceMs <= sinceMs);
    return due.map(([session]) => session);
  }

  #sayRest(full: OpenLoss): void {
    const { event: loss, saidThrough } = full;
    if (saidThrough === loss.lastSequence) return;
    this.#losses.set(loss.session, { ...full, saidThrough: loss.lastSequence });
    this.#say({ ...loss, firstSequence: saidThrough + 1 });
  }
}
