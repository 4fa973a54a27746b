// `subscribe --from` and `--cursor`: a subscription that recovers, as NDJSON, and the file that
// remembers where it was.

import { BackcastError, type ChannelAddress, parseInstant } from '#base/mod.ts';
import {
  openReplaySource,
  type OpenSubscriberOptions,
  subscribe,
  type SubscribeFrom,
  type Subscription,
} from '#client/mod.ts';
import { type MetricFamily, receiverFamilies, transportFamilies } from '#multicast/metrics/mod.ts';
import { replayApiOf } from './api-request.ts';
import { tellRejections } from './authentication.ts';
import type { CommandContext } from './command.ts';
import { serveCommandMetrics } from './command-metrics.ts';
import type { Outcome } from './exit-codes.ts';
import { liveText } from './live-text.ts';
import { readSaved, writeSaved } from './saved-file.ts';
import { subscriptionFamilies } from './subscription-metrics.ts';

/** What is followed, and from where. */
export interface FollowOptions {
  readonly channel: string;
  readonly address: ChannelAddress;
  /** How the channel is heard. */
  readonly hears: OpenSubscriberOptions;
  /** Whether it is heard at all. */
  readonly multicast: boolean;
  readonly from?: string | undefined;
  /** File that remembers; wins over `from` once there is one. */
  readonly cursor?: string | undefined;
  /** Messages after which it ends. */
  readonly count?: number | undefined;
  /** Port of /metrics; not served if not given. */
  readonly metricsPort?: number | undefined;
}

/** A file is written so often at most: what is printed in between may be printed again. */
const SAVE_EVERY_MS = 200;

/**
 * Prints everything from there on until it is told to stop, with metrics in `resources`. Errors:
 * those of a subscription; BACKCAST_USAGE for a place that is none or a file that cannot be used.
 */
export async function followFrom(
  context: CommandContext,
  options: FollowOptions,
  resources: AsyncDisposableStack,
): Promise<Outcome> {
  const {
    channel,
    address,
    hears,
    multicast,
    from = 'live',
    cursor: file,
    count: countMax,
  } = options;
  const saved = file === undefined ? undefined : readSaved(file);
  await using subscription = await subscribe({
    channel,
    from: saved === undefined ? placeOf(from) : { cursor: saved.trim() },
    archive: openReplaySource(replayApiOf(context), channel),
    ...(multicast ? { multicast: hears } : {}),
  });
  const { receiverCounters } = subscription;
  if (receiverCounters !== undefined) tellRejections(receiverCounters, resources, context.note);
  await serveCommandMetrics(resources, {
    config: context.config,
    port: options.metricsPort,
    note: context.note,
    collect: () => families(channel, subscription),
  });
  const leave = (): void => void subscription[Symbol.asyncDispose]();
  context.signal.addEventListener('abort', leave, { once: true });
  const where = subscription.listensAt ?? 'the archive alone';
  context.note(`following ${channel} on ${where}${saved === undefined ? '' : ', by its cursor'}`);
  const saving = new Saving(file);
  let count = 0;
  for await (const told of subscription) {
    await context.output.write(`${liveText(channel, told, address.framing)}\n`);
    saving.mayBeDue(subscription);
    if (told.kind === 'message') count += 1;
    if (count === countMax) break;
  }
  saving.save(subscription);
  if (file !== undefined && !saving.hasSaved && saved === undefined)
    context.note(`${file} is not written: the archive has not told yet where the channel stands`);
  return context.signal.aborted ? 'interrupted' : 'ok';
}

/** Its own numbers, and where it is heard those of its receiver. */
function families(channel: string, subscription: Subscription): MetricFamily[] {
  const { receiverCounters: receiver, repairLatency, transportCounters } = subscription;
  const own = subscriptionFamilies({ [channel]: subscription });
  if (receiver === undefined || repairLatency === undefined) return own;
  return [
    ...own,
    ...receiverFamilies({ [channel]: { receiver, repairLatency } }),
    ...transportFamilies(transportCounters === undefined ? {} : { [channel]: transportCounters }),
  ];
}

/** Keeps the file up to date. */
class Saving {
  readonly #file: string | undefined;
  #savedAtMs = Number.NEGATIVE_INFINITY;

  constructor(file: string | undefined) {
    this.#file = file;
  }

  /** Whether the file is there now. */
  get hasSaved(): boolean {
    return this.#savedAtMs > Number.NEGATIVE_INFINITY;
  }

  mayBeDue(subscription: Subscription): void {
    if (this.#file === undefined) return;
    if (performance.now() - this.#savedAtMs >= SAVE_EVERY_MS) this.save(subscription);
  }

  save({ cursor }: Subscription): void {
    if (this.#file === undefined || cursor === undefined) return;
    this.#savedAtMs = performance.now();
    writeSaved(this.#file, `${cursor}\n`);
  }
}

function placeOf(text: string): SubscribeFrom {
  if (text === 'live' || text === 'start') return text;
  const position = Number(text);
  if (/^\d{1,16}$/.test(text) && position >= 1) return { position };
  if (parseInstant(text) !== undefined) return { time: text };
  throw new BackcastError(
    'BACKCAST_USAGE',
    `--from ${JSON.stringify(text)} is not start, live, a position from 1 on, nor a time such as ` +
      '2026-11-22T14:00:00Z',
  );
}
