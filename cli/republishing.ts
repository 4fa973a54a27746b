// What `republish` does with each thing that a history tells: publishes messages when they are due,
// and counts the rest.

import { setTimeout as delay } from 'node:timers/promises';
import type { ArchivedMessage, ChannelPublisher, HistoryEnd, HistoryEntry } from '#client/mod.ts';
import { zmqParts } from '#multicast/wire/mod.ts';
import { RepublishPace, type RepublishPaceOptions } from './republish-pace.ts';

/** How to publish again. */
export interface RepublishingOptions extends RepublishPaceOptions {
  /** Whether messages are frames of framing zmq. */
  readonly isFramed: boolean;
}

/** One republishing. */
export class Republishing {
  readonly #publisher: ChannelPublisher;
  readonly #isFramed: boolean;
  readonly #pace: RepublishPace;
  #publishedCount = 0;
  #lostCount = 0;
  #deletedCount = 0;
  #end: HistoryEnd | undefined;

  constructor(publisher: ChannelPublisher, options: RepublishingOptions) {
    this.#publisher = publisher;
    this.#isFramed = options.isFramed;
    this.#pace = new RepublishPace(options);
  }

  /** Takes the next thing; a message is published when this resolves, unless `signal` fired. */
  async take(entry: HistoryEntry, signal: AbortSignal): Promise<void> {
    if (entry.kind === 'message') return await this.#publish(entry, signal);
    if (entry.kind === 'end') this.#end = entry;
    else if (entry.kind === 'loss') this.#lostCount += entry.last - entry.first + 1;
    else this.#deletedCount += entry.last - entry.first + 1;
  }

  /** What was done, for people. */
  summary(): readonly string[] {
    const messages = this.#publishedCount === 1 ? '1 message' : `${this.#publishedCount} messages`;
    const lines = [`republished ${messages}`];
    if (this.#lostCount > 0) lines.push(`${this.#lostCount} sequences among them are lost`);
    if (this.#deletedCount > 0)
      lines.push(`${this.#deletedCount} sequences among them were deleted by a policy`);
    if (this.#end?.status === 'unsettled') lines.push('the archive does not reach further yet');
    return lines;
  }

  async #publish({ publishedAtUs, payload }: ArchivedMessage, signal: AbortSignal): Promise<void> {
    const waitMs = this.#pace.waitMs(publishedAtUs, performance.now());
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
    if (this.#isFramed) await this.#publisher.publishParts(zmqParts(payload));
    else await this.#publisher.publish(payload);
    this.#publishedCount += 1;
  }
}
