// What is told and not read yet, in order. Bounded by whoever fills it: it says whether it has
// room. Notes about a session that say nothing new are left out.

import type { SessionId } from '#base/mod.ts';
import { heldBytes, type Told, type ToldSession } from './merge-told.ts';

/** Some hundred packets, or a segment: what a reader takes in a few milliseconds. */
const OUTBOX_BYTES_MAX = 2 * 1_048_576;

/** The outbox of one subscription. */
export class MergeOutbox {
  readonly #states = new Map<SessionId, ToldSession['state']>();
  /** Told to be open by somebody before: only their end is news of itself. */
  readonly #recalled = new Set<SessionId>();
  #told: Told[] = [];
  #head = 0;
  #bytes = 0;
  #count = 0;

  /** Whether more may be told before the reader has read. */
  get hasRoom(): boolean {
    return this.#bytes < OUTBOX_BYTES_MAX;
  }

  /** What was ever told, in items. */
  get count(): number {
    return this.#count;
  }

  /** Sessions that were told to be open, and not over. */
  get openSessions(): SessionId[] {
    const open = [...this.#states].flatMap(([session, state]) => {
      return state === 'open' ? [session] : [];
    });
    return [...open, ...this.#recalled];
  }

  /** `session` was told to be open by an earlier outbox, and not over. */
  recall(session: SessionId): void {
    this.#recalled.add(session);
  }

  /** Appends. Of places in a row only the last counts. */
  push(told: Told): void {
    const last = this.#told.length - 1;
    if (told.kind === 'place' && last >= this.#head && this.#told[last]?.kind === 'place') {
      this.#told[last] = told;
      return;
    }
    if (told.kind !== 'place') this.#count += 1;
    this.#told.push(told);
    this.#bytes += heldBytes(told);
  }

  /** Appends the state of a session if it is another than was told last. */
  pushState(session: SessionId, state: ToldSession['state']): void {
    const before = this.#states.get(session);
    const isKnown = before !== undefined || this.#recalled.delete(session);
    if (before === state || (!isKnown && state !== 'open')) return;
    this.#states.set(session, state);
    this.push({ kind: 'session', session, state });
  }

  /** Takes the oldest. */
  shift(): Told | undefined {
    const told = this.#told[this.#head];
    if (told === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= heldBytes(told);
    if (this.#head === this.#told.length) {
      this.#told = [];
      this.#head = 0;
    }
    return told;
  }
}
