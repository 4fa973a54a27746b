// Measures how old a message is when it is archived: from the call of publish to the moment at
// which another connection sees the position of the channel reach it. Open loop: messages are
// published at a steady rate whatever becomes of them, for a bounded time. The look at the position
// is taken every millisecond, and its way is in the number.

import { setTimeout as delay } from 'node:timers/promises';
import type { ArchiveDatabase } from '#archive/mod.ts';
import { PROGRESS } from './archive-messages.ts';
import {
  type ArchiveBenchmarkPlace,
  headsOf,
  type StagedChannel,
  stageChannels,
} from './archive-stage.ts';
import { absoluteMs } from './machine.ts';

/** What was measured at one rate. */
export interface ArchiveLatency {
  /** Messages per second that were to be published, on one channel. */
  readonly offeredRate: number;
  /** Messages per second that the publisher brought out. */
  readonly publishedRate: number;
  /** Whether that is what was offered, and all of it was archived within LATE_MS_MAX of its end. */
  readonly isKept: boolean;
  readonly latencyMsP50: number;
  readonly latencyMsP99: number;
  readonly latencyMsMax: number;
}

/** Long enough for some hundreds of batches. */
const SECONDS = 5;
const SAMPLES_PER_SEC_MAX = 10_000;
const POLL_MS = 1;
const LATE_MS_MAX = 1_000;
/** After the end of publishing; what is not archived then counts as never. */
const WAIT_MS_MAX = 20_000;
/** A publisher that stays so little behind its clock has kept the rate. */
const KEPT_SHARE = 0.98;

/** Publishes `rate` messages per second for SECONDS. Errors: those of the archiver. */
export async function measureLatency(
  place: ArchiveBenchmarkPlace,
  database: ArchiveDatabase,
  rate: number,
): Promise<ArchiveLatency> {
  await using resources = new AsyncDisposableStack();
  const messageCount = rate * SECONDS;
  const stride = Math.max(1, Math.ceil(rate / SAMPLES_PER_SEC_MAX));
  const order = { messageCount, publisherCount: 1, rate, outstandingMax: 0, stride };
  const [channel] = await stageChannels(place, database, resources, 1, order);
  channel.begin();
  const startedAtMs = absoluteMs();
  const { ages, publishedThroughMs, isAll } = await watch(place, database, channel, order);
  const publishingMs = publishedThroughMs - startedAtMs;
  const lateMs = absoluteMs() - publishedThroughMs;
  const publishedRate = Math.round((channel.progress[PROGRESS.published] * 1000) / publishingMs);
  ages.sort((a, b) => a - b);
  const at = (share: number): number => {
    const ageMs = ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? Number.NaN;
    return Math.round(ageMs * 10) / 10;
  };
  return {
    offeredRate: rate,
    publishedRate,
    isKept: isAll && lateMs < LATE_MS_MAX && publishedRate >= rate * KEPT_SHARE,
    latencyMsP50: at(0.5),
    latencyMsP99: at(0.99),
    latencyMsMax: at(1),
  };
}

interface Watched {
  /** Of the messages that are noted, in the order of their publishing. */
  readonly ages: number[];
  readonly publishedThroughMs: number;
  readonly isAll: boolean;
}

/** Notes the age of messages as they are archived, until all are or the wait is over. */
async function watch(
  { signal }: ArchiveBenchmarkPlace,
  database: ArchiveDatabase,
  channel: StagedChannel,
  { messageCount, stride }: { readonly messageCount: number; readonly stride: number },
): Promise<Watched> {
  const ages: number[] = [];
  let publishedThroughMs = Number.POSITIVE_INFINITY;
  for (;;) {
    signal?.throwIfAborted();
    const [head] = await headsOf(database, [channel]);
    const nowMs = absoluteMs();
    while (ages.length * stride < head) ages.push(nowMs - channel.publishedAtMs[ages.length]);
    Atomics.store(channel.progress, PROGRESS.archived, head);
    const isPublished = Atomics.load(channel.progress, PROGRESS.published) === messageCount;
    if (isPublished) publishedThroughMs = Math.min(publishedThroughMs, nowMs);
    if (head >= messageCount) return { ages, publishedThroughMs, isAll: true };
    if (nowMs > publishedThroughMs + WAIT_MS_MAX || isStuck(channel, nowMs)) {
      return { ages, publishedThroughMs: Math.min(publishedThroughMs, nowMs), isAll: false };
    }
    await delay(POLL_MS);
  }
}

/** A publisher that cannot bring out what it is offered: the run need not last for ever. */
function isStuck({ publishedAtMs }: StagedChannel, nowMs: number): boolean {
  return publishedAtMs[0] > 0 && nowMs > publishedAtMs[0] + SECONDS * 1000 + WAIT_MS_MAX;
}
