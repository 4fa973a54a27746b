// Publishers that go on at a steady rate, whatever happens to those who listen.

import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelPublisher } from '#client/mod.ts';
import { publishLabelled } from './labelled-messages.ts';

/** How much, over all publishers. */
export interface TrafficOptions {
  readonly messagesPerSec: number;
  readonly payloadBytes: number;
}

/** Traffic that flows. Disposing stops it. */
export interface Traffic extends AsyncDisposable {
  /** Messages published so far, over all publishers and by others too. */
  readonly publishedCount: number;
  /** Stops it and resolves when the last message is published. Rejects if publishing failed. */
  stop(): Promise<void>;
}

const BURST_EVERY_MS = 5;
/** What a busy machine has kept back is not sent all at once. */
const CATCH_UP_MS_MAX = 200;

/** Starts to publish labelled messages by `publishers` in turn. */
export function startTraffic(
  publishers: readonly ChannelPublisher[],
  { messagesPerSec, payloadBytes }: TrafficOptions,
): Traffic {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    let dueAtMs = performance.now();
    for (let turn = 0; !stopping.signal.aborted; ) {
      const nowMs = performance.now();
      dueAtMs = Math.max(dueAtMs, nowMs - CATCH_UP_MS_MAX);
      for (; dueAtMs <= nowMs; dueAtMs += 1_000 / messagesPerSec) {
        const publisher = publishers[turn % publishers.length];
        if (publisher !== undefined) await publishLabelled(publisher, payloadBytes);
        turn += 1;
      }
      await delay(BURST_EVERY_MS);
    }
  };
  const running = run();
  running.catch(() => undefined);
  const stop = (): Promise<void> => {
    stopping.abort();
    return running;
  };
  return {
    get publishedCount() {
      return publishers.reduce((sum, { lastSequence }) => sum + lastSequence, 0);
    },
    stop,
    [Symbol.asyncDispose]: () => stop().catch(() => undefined),
  };
}
