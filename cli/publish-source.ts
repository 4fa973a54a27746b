// Where `publish` takes its messages from: lines of standard input, or made-up ones; and the pace
// at which they go.

import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';

const NEWLINE = 0x0a;
/** Made-up messages between two looks at the network. */
const BURST_MESSAGES = 64;
/** Timers fire late; so much is made up for, and no more after a pause. */
const CATCH_UP_MS = 50;

/** Spreads messages evenly over time: `rate` a second, or as they come without one. */
export class Pace {
  readonly #intervalMs: number;
  #nextAtMs: number;

  constructor(rate: number | undefined, nowMs: number) {
    this.#intervalMs = rate === undefined ? 0 : 1_000 / rate;
    this.#nextAtMs = nowMs;
  }

  /**
   * Takes the turn of the next message; returns how long it has to wait for that, 0 if not at all.
   */
  takeTurn(nowMs: number): number {
    const turnAtMs = Math.max(this.#nextAtMs, nowMs - CATCH_UP_MS);
    this.#nextAtMs = turnAtMs + this.#intervalMs;
    return Math.max(0, turnAtMs - nowMs);
  }
}

/**
 * Publishes each line of `input` without its newline and otherwise byte for byte; returns how many.
 * A line that is larger than a message may be ends it with BACKCAST_MESSAGE_TOO_LARGE; the lines
 * before it are published. Stops when `signal` fires.
 */
export async function publishLines(
  publisher: Pick<ChannelPublisher, 'publish' | 'messageBytesMax'>,
  input: Readable,
  pace: Pace,
  signal: AbortSignal,
): Promise<number> {
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop, { once: true });
  let count = 0;
  try {
    for await (const line of linesOf(input, publisher.messageBytesMax)) {
      await untilTurn(pace, signal);
      if (signal.aborted) break;
      await publisher.publish(line);
      count += 1;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  return count;
}

/** Publishes `count` messages of `size` bytes; returns how many. Stops when `signal` fires. */
export async function publishMadeUp(
  publisher: Pick<ChannelPublisher, 'publish'>,
  options: { readonly count: number; readonly size: number; readonly pace: Pace },
  signal: AbortSignal,
): Promise<number> {
  const { count, size, pace } = options;
  for (let published = 0; published < count; published += 1) {
    await untilTurn(pace, signal);
    if (signal.aborted) return published;
    await publisher.publish(madeUp(published + 1, size));
    if (published % BURST_MESSAGES === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return count;
}

/** Returns early when `signal` fires. */
async function untilTurn(pace: Pace, signal: AbortSignal): Promise<void> {
  const waitMs = pace.takeTurn(performance.now());
  if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => undefined);
}

/** The lines of `input` without their newlines. Holds no more than a line of `lineBytesMax`. */
async function* linesOf(input: Readable, lineBytesMax: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  let lineNumber = 1;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, newline < 0 ? chunk.length : newline);
      pieceBytes += piece.length;
      if (pieceBytes > lineBytesMax) throw lineTooLarge(lineNumber, lineBytesMax);
      pieces.push(piece);
      start += piece.length + 1;
      if (newline < 0) break;
      yield pieces.length === 1 ? piece : Buffer.concat(pieces, pieceBytes);
      pieces = [];
      pieceBytes = 0;
      lineNumber += 1;
    }
  }
  if (pieceBytes > 0) yield Buffer.concat(pieces, pieceBytes);
}

function lineTooLarge(lineNumber: number, lineBytesMax: number): BackcastError {
  const message =
    `Line ${lineNumber} has more than the ${lineBytesMax} bytes that a message may have ` +
    '(publisher.messageBytesMax, or what the framing raw takes). The lines before it are ' +
    'published.';
  return new BackcastError('BACKCAST_MESSAGE_TOO_LARGE', message);
}

/** A JSON object with the message's number, filled up or cut to exactly `size` bytes. */
function madeUp(number: number, size: number): Buffer {
  const text = `{"number":${number},"filler":"`;
  return Buffer.from(text.padEnd(Math.max(0, size - 2), 'abcdefghij') + '"}').subarray(0, size);
}
