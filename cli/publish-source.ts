// Where `publish` takes its messages from: lines of standard input, or made-up ones at a steady
// rate.

import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelPublisher } from '#client/mod.ts';

const NEWLINE = 0x0a;
/** Made-up messages are paced in steps of this length. */
const PACE_MS = 5;
/** Messages between two looks at the clock and the network. */
const BURST_MESSAGES = 64;

/** Publishes each line of `input` without its newline, byte for byte; returns how many. */
export async function publishLines(
  publisher: ChannelPublisher,
  input: Readable,
  signal: AbortSignal,
): Promise<number> {
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop, { once: true });
  let count = 0;
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of input) {
      const bytes = Buffer.concat([rest, chunk as Buffer]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        await publisher.publish(bytes.subarray(start, end));
        count += 1;
        start = end + 1;
      }
      rest = bytes.subarray(start);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (rest.length > 0 && !signal.aborted) {
    await publisher.publish(rest);
    count += 1;
  }
  return count;
}

/**
 * Publishes `count` messages of `size` bytes, `rate` a second or as fast as they go; returns how
 * many.
 */
export async function publishMadeUp(
  publisher: ChannelPublisher,
  options: { readonly count: number; readonly size: number; readonly rate?: number },
  signal: AbortSignal,
): Promise<number> {
  const { count, size, rate = Number.POSITIVE_INFINITY } = options;
  const startedAtMs = performance.now();
  let published = 0;
  while (published < count && !signal.aborted) {
    const dueCount = ((performance.now() - startedAtMs) * rate) / 1000 + 1;
    if (published >= dueCount) {
      await delay(PACE_MS);
      continue;
    }
    const end = Math.min(count, dueCount, published + BURST_MESSAGES);
    for (; published < end; published += 1) await publisher.publish(madeUp(published + 1, size));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return published;
}

/** A JSON object with the message's number, filled up or cut to exactly `size` bytes. */
function madeUp(number: number, size: number): Buffer {
  const text = `{"number":${number},"filler":"`;
  return Buffer.from(text.padEnd(Math.max(0, size - 2), 'abcdefghij') + '"}').subarray(0, size);
}
