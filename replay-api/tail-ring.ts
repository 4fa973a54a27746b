// The last of what a channel told, as bytes that many readers send: bounded, so a reader that is
// too slow finds that its next piece is gone. Pure: who waits for more is the feed's matter.

import type { Served } from './access/access-log.ts';

/**
 * How far a tail has come: every message through `position` was told, and of the losses that lie
 * behind that position those in `told`. A loss behind the head may be declared at any time.
 */
export interface TailPlace {
  readonly position: number;
  /** Keys as lossKey makes them. */
  readonly told: ReadonlySet<string>;
}

/** Some of what is told, ready to be sent, and where a reader is who has sent it. */
export interface TailChunk {
  readonly bytes: Buffer;
  /** The messages in it, if there are any. */
  readonly messages?: Served | undefined;
  readonly place: TailPlace;
}

/** The latest chunks of one channel, numbered from 1 on. */
export class TailRing {
  readonly #bytesMax: number;
  readonly #chunks: TailChunk[] = [];
  #firstNumber = 1;
  #heldBytes = 0;

  /** Holds at most `bytesMax`, and the last chunk in any case. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The number that the next chunk is going to have. */
  get nextNumber(): number {
    return this.#firstNumber + this.#chunks.length;
  }

  /** Adds `chunk`, and lets the oldest go for which there is no room. */
  push(chunk: TailChunk): void {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.bytes.length;
    while (this.#heldBytes > this.#bytesMax && this.#chunks.length > 1) this.#drop();
  }

  /** Chunk `number`; `later` if it has not come, `gone` if there was no room for it any more. */
  at(number: number): TailChunk | 'later' | 'gone' {
    if (number < this.#firstNumber) return 'gone';
    return this.#chunks.at(number - this.#firstNumber) ?? 'later';
  }

  /** Lets everything go; whoever waits for the next chunk as well is told that it is gone. */
  clear(): void {
    while (this.#chunks.length > 0) this.#drop();
    this.#firstNumber += 1;
  }

  #drop(): void {
    this.#heldBytes -= this.#chunks.shift()?.bytes.length ?? 0;
    this.#firstNumber += 1;
  }
}
