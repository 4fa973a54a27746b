// Watches the channels that somebody tails: looks at their heads several times a second, all in one
// statement, and keeps one feed for each however many read it. Looking is all there is: a message
// of the database about a commit could be missed, and would save nothing that is worth having.

import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { type Channel, readHeads, type ReadDatabase } from '#archive/mod.ts';
import { toError } from '#base/mod.ts';
import { ChannelFeed } from './channel-feed.ts';
import { newTailCounters, type TailCounters } from './tail-metrics.ts';

/** How tails are served. */
export interface TailBounds {
  /** How often the heads of channels are looked at. */
  readonly pollMs: number;
  /** A reader that is told nothing for so long is sent a sign of life. */
  readonly heartbeatMs: number;
  /** Per channel, what is kept for readers that are a little behind. */
  readonly ringBytesMax: number;
}

/** The bounds that hold where nothing else is said. */
export const TAIL_BOUNDS: TailBounds = {
  pollMs: 50,
  heartbeatMs: 5_000,
  ringBytesMax: 4 * 1_048_576,
};

/** After an attempt that failed, the next one comes so much later. */
const TROUBLE_MS = 1_000;

/** What the watch needs. */
export interface ChannelWatchOptions extends TailBounds {
  readonly opened: ReadDatabase;
  readonly logger: FastifyBaseLogger;
}

/** A feed as long as it is used. Disposing lets it go. */
export interface HeldFeed extends Disposable {
  readonly feed: ChannelFeed;
}

interface Watched {
  readonly feed: ChannelFeed;
  holders: number;
}

/** Everybody's watch over the channels that are tailed. */
export class ChannelWatch {
  readonly #options: ChannelWatchOptions;
  readonly #watched = new Map<number, Watched>();
  readonly #counters: TailCounters = newTailCounters();
  readonly #closing = new AbortController();
  #isRunning = false;

  constructor(options: ChannelWatchOptions) {
    this.#options = options;
  }

  /** Fires when no more is to be told. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** How tails are served. */
  get bounds(): TailBounds {
    return this.#options;
  }

  /** What was counted; readers add to it. */
  get counters(): TailCounters {
    return this.#counters;
  }

  /** Channels that are watched now. */
  get channelCount(): number {
    return this.#watched.size;
  }

  /** The feed of `channel`, watched until it is let go of by all who hold it. */
  hold(channel: Channel): HeldFeed {
    const { channelId } = channel;
    const watched = this.#watched.get(channelId) ?? { feed: this.#newFeed(channel), holders: 0 };
    watched.holders += 1;
    this.#watched.set(channelId, watched);
    if (!this.#isRunning) void this.#run();
    let isHeld = true;
    return {
      feed: watched.feed,
      [Symbol.dispose]: () => {
        if (isHeld) watched.holders -= 1;
        isHeld = false;
        if (watched.holders === 0) this.#watched.delete(channelId);
      },
    };
  }

  /** Ends every tail. Idempotent. */
  close(): void {
    this.#closing.abort();
  }

  #newFeed(channel: Channel): ChannelFeed {
    const { opened, logger, ringBytesMax } = this.#options;
    const onRead = (): void => {
      this.#counters.pagesShared += 1;
    };
    const onBug = (error: unknown): void => {
      logger.error({ err: toError(error), channel: channel.name }, 'tail failed');
    };
    return new ChannelFeed({ opened, channel, ringBytesMax, onRead, onBug });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const { signal } = this.#closing;
    while (this.#watched.size > 0 && !signal.aborted) {
      const isWell = await this.#look();
      const waitMs = isWell ? this.#options.pollMs : TROUBLE_MS;
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
    this.#isRunning = false;
  }

  async #look(): Promise<boolean> {
    const watched = [...this.#watched.values()];
    try {
      const ids = watched.map(({ feed }) => feed.channel.channelId);
      const heads = await readHeads(this.#options.opened.database, ids);
      for (const head of heads) this.#watched.get(head.channelId)?.feed.handleHead(head);
      return true;
    } catch (error) {
      for (const { feed } of watched) feed.handleTrouble(error);
      return false;
    }
  }
}
