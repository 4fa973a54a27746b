// What a standby has of messages that were declared lost, until it is offered to whoever writes.
// Bounded; what finds no room is let go of and counted: it stays a declared loss. Pure.

import type { HealOffer } from '#archive/mod.ts';
import type { MessagesDelivered } from '#multicast/core/mod.ts';
import { writeSpooledEvent } from './spool/mod.ts';

/** What waits here, and what may lie in the table, of one channel and archiver. */
export const OFFERED_BYTES_MAX: number = 8 * 1_048_576;

/** The offers of one channel that are not made yet. */
export class HealOffering {
  readonly #by: string;
  #offers: HealOffer[] = [];
  #bytes = 0;
  #droppedMessages = 0;

  /** `by`: the name of this archiver. */
  constructor(by: string) {
    this.#by = by;
  }

  get isEmpty(): boolean {
    return this.#offers.length === 0;
  }

  /** Messages that there was no room to offer. */
  get droppedMessages(): number {
    return this.#droppedMessages;
  }

  /** The archive has declared lost what is here. */
  add(event: MessagesDelivered, heardAtUs: number): void {
    const content = writeSpooledEvent({ event, heardAtUs });
    if (this.#bytes + content.length > OFFERED_BYTES_MAX) {
      this.#droppedMessages += event.messageCount;
      return;
    }
    const { session, firstSequence, lastSequence } = event;
    this.#offers.push({ session, firstSequence, lastSequence, by: this.#by, content });
    this.#bytes += content.length;
  }

  /** Takes the oldest, as many as have room in `bytesMax`. */
  take(bytesMax: number): HealOffer[] {
    let takenBytes = 0;
    let count = 0;
    for (const { content } of this.#offers) {
      if (takenBytes + content.length > bytesMax) break;
      takenBytes += content.length;
      count += 1;
    }
    this.#bytes -= takenBytes;
    return this.#offers.splice(0, count);
  }

  /** They could not be made. */
  giveBack(offers: readonly HealOffer[]): void {
    this.#offers.unshift(...offers);
    for (const { content } of offers) this.#bytes += content.length;
  }
}
