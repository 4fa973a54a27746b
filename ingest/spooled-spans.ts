// What lies in a spool, without reading it: for every thousand entries the last sequence of each
// session in them. With it a standby knows from watermarks alone what need not be kept. Pure.

import type { SessionId } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { messagesIn } from './kept-events.ts';

interface Span {
  lastNumber: number;
  entryCount: number;
  messageCount: number;
  readonly lasts: Map<SessionId, number>;
}

const SPAN_ENTRIES_MAX = 1_024;

/** The spans of one spool, in order. */
export class SpooledSpans {
  #spans: Span[] = [];

  /** Messages in them. */
  get messageCount(): number {
    return this.#spans.reduce((sum, span) => sum + span.messageCount, 0);
  }

  /** The sessions of which there are messages or losses. */
  sessions(): Set<SessionId> {
    return new Set(this.#spans.flatMap(({ lasts }) => [...lasts.keys()]));
  }

  /** The entry `number`, behind all that were noted before, holds `event`. */
  note(number: number, event: ReceiverEvent): void {
    let span = this.#spans.at(-1);
    if (span !== undefined && number <= span.lastNumber) return;
    if (span === undefined || span.entryCount >= SPAN_ENTRIES_MAX) {
      span = { lastNumber: 0, entryCount: 0, messageCount: 0, lasts: new Map() };
      this.#spans.push(span);
    }
    span.lastNumber = number;
    span.entryCount += 1;
    span.messageCount += messagesIn(event);
    if (event.kind === 'messages' || event.kind === 'lost')
      span.lasts.set(event.session, event.lastSequence);
  }

  /** The last entry before the first span that is not all archived; 0 if that is the first. */
  archivedThrough(isArchived: (session: SessionId, lastSequence: number) => boolean): number {
    let through = 0;
    for (const { lastNumber, lasts } of this.#spans) {
      if (![...lasts].every(([session, last]) => isArchived(session, last))) break;
      through = lastNumber;
    }
    return through;
  }

  /** What is told of `from` is told of `to`. */
  rename(from: SessionId, to: SessionId): void {
    for (const { lasts } of this.#spans) {
      const last = lasts.get(from);
      if (last === undefined) continue;
      lasts.delete(from);
      lasts.set(to, Math.max(last, lasts.get(to) ?? 0));
    }
  }

  /** Entries through `number` are not of interest any more. */
  forgetThrough(number: number): void {
    this.#spans = this.#spans.filter(({ lastNumber }) => lastNumber > number);
  }
}
