// The case that all of this exists for, played once: an instance follows a busy channel, is killed,
// stays away for longer than anybody can repair, comes back with its cursor, and is live again with
// every message once and in order.

import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError } from '#base/mod.ts';
import { readSaved } from '../saved-file.ts';
import { type DemoInstance, startInstance } from './child.ts';
import type { InstanceReport, SavedInstance } from './instance-report.ts';
import { setStage, type Stage, type StageOptions } from './stage.ts';

/** What is played. */
export interface OutageOptions extends StageOptions {
  /** How long the instance follows before it is killed. */
  readonly followMs: number;
  /** How long it is away. */
  readonly awayMs: number;
}

/** Who watches. */
export interface OutageListener {
  /** Something has happened; a sentence. */
  tell(sentence: string): void;
  /** How far it is now. */
  progress(text: string): void;
}

/** What came of it. */
export interface OutageResult {
  readonly publishedCount: number;
  readonly receivedCount: number;
  readonly misplacedCount: number;
  readonly lostCount: number;
  /** Messages that were published while the instance was away, and a little before. */
  readonly missedCount: number;
  readonly replayedCount: number;
  /** From the first to the last message that was read. */
  readonly replayedPerSecond: number;
  /** From the start of its process until it subscribed. */
  readonly startMs: number;
  /** From its subscription until it was live. */
  readonly liveAgainMs: number;
  /** Twice the time that reading what it missed takes at that rate. */
  readonly liveAgainMsMax: number;
  /** Every message once and in order, and live again in time. */
  readonly isAsPromised: boolean;
}

const LOOK_EVERY_MS = 200;
/** Longer than any of the steps that take no stated time. */
const STEP_MS_MAX = 120_000;

/** Plays it. Errors: BACKCAST_DEMO_FAILED, and the reason of `signal`. */
export async function runOutage(
  options: OutageOptions,
  listener: OutageListener,
  signal: AbortSignal,
): Promise<OutageResult> {
  await using resources = new AsyncDisposableStack();
  const stage = await setStage(options, resources);
  listener.tell(`archive and replay API run: ${stage.api}`);
  listener.tell(
    `a publisher sends ${options.rate} messages a second and repairs for ${options.windowMs} ms`,
  );
  const first = resources.use(startInstance(stage.orders));
  const live = await within('the instance is live', signal, (bound) =>
    first.until(({ isLive }) => isLive, bound),
  );
  listener.tell(`an instance is live, with ${live.account.count} messages`);
  await watch(options.followMs, signal, () => {
    listener.progress(`it has ${first.latest?.account.count ?? 0} messages`);
  });
  await first.kill();
  const { account } = savedBy(stage);
  listener.tell(`killed; it has saved that it had ${account.count} messages`);
  let archived = account.count;
  await watch(options.awayMs, signal, async (leftMs) => {
    archived = await stage.archivedCount();
    const left = Math.ceil(leftMs / 1_000);
    listener.progress(
      `away for ${left} s more; missed ${Math.max(0, archived - account.count)} messages`,
    );
  });
  const missedCount = (await stage.archivedCount()) - account.count;
  listener.tell(`started again with its cursor; it has missed ${missedCount} messages`);
  const second = resources.use(startInstance(stage.orders));
  const again = await untilLive(second, missedCount, listener, signal);
  const { liveAtMs = 0, subscribedAtMs } = again;
  listener.tell(`live again ${Math.round(liveAtMs - subscribedAtMs)} ms after it subscribed`);
  await watch(options.followMs, signal, () => {
    listener.progress(`it has ${second.latest?.account.count ?? 0} messages`);
  });
  const publishedCount = await endPublishing(stage);
  const end = await within('the instance has everything', signal, (bound) =>
    second.until(({ account: { next } }) => next > publishedCount, bound),
  );
  return resultOf({ publishedCount, missedCount, again, end });
}

async function untilLive(
  instance: DemoInstance,
  missedCount: number,
  listener: OutageListener,
  signal: AbortSignal,
): Promise<InstanceReport> {
  return await within('the instance is live again', signal, (bound) =>
    instance.until(({ isLive, replayedCount }) => {
      listener.progress(`read ${replayedCount} of ${missedCount} and what came meanwhile`);
      return isLive;
    }, bound),
  );
}

/** Ends the publisher; returns how many messages it has sent. */
async function endPublishing({ publisher }: Stage): Promise<number> {
  const said = publisher.says(/^published (\d+) messages/);
  await Promise.all([said, publisher.stop()]);
  return Number((await said)[1]);
}

function resultOf(of: {
  readonly publishedCount: number;
  readonly missedCount: number;
  readonly again: InstanceReport;
  readonly end: InstanceReport;
}): OutageResult {
  const { publishedCount, missedCount, again, end } = of;
  const { replayedCount, subscribedAtMs } = again;
  const { firstReplayedAtMs = 0, lastReplayedAtMs = 0, liveAtMs = 0 } = again;
  const { count, misplacedCount, lostCount } = end.account;
  const readMs = lastReplayedAtMs - firstReplayedAtMs;
  const replayedPerSecond = Math.round((replayedCount * 1_000) / readMs);
  const liveAgainMs = Math.round(liveAtMs - subscribedAtMs);
  const liveAgainMsMax = Math.round((2 * missedCount * 1_000) / replayedPerSecond);
  const hasAll = count === publishedCount && misplacedCount === 0 && lostCount === 0;
  return {
    publishedCount,
    receivedCount: count,
    misplacedCount,
    lostCount,
    missedCount,
    replayedCount,
    replayedPerSecond,
    startMs: Math.round(subscribedAtMs),
    liveAgainMs,
    liveAgainMsMax,
    isAsPromised: hasAll && liveAgainMs <= liveAgainMsMax,
  };
}

function savedBy({ orders }: Stage): SavedInstance {
  const saved = readSaved(orders.file);
  if (saved === undefined)
    throw new BackcastError(
      'BACKCAST_DEMO_FAILED',
      'the instance has saved nothing before it died',
    );
  return JSON.parse(saved) as SavedInstance;
}

/** Calls `look` several times a second, for `forMs`. */
async function watch(
  forMs: number,
  signal: AbortSignal,
  look: (leftMs: number) => void | Promise<void>,
): Promise<void> {
  const untilMs = performance.now() + forMs;
  for (let leftMs = forMs; leftMs > 0; leftMs = untilMs - performance.now()) {
    await look(leftMs);
    await delay(Math.min(LOOK_EVERY_MS, leftMs), undefined, { signal });
  }
}

/** What `wait` gives; BACKCAST_DEMO_FAILED if that takes longer than any step should. */
async function within<Value>(
  what: string,
  signal: AbortSignal,
  wait: (bound: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    const problem = `not within ${STEP_MS_MAX / 1_000} s: ${what}`;
    late.abort(new BackcastError('BACKCAST_DEMO_FAILED', problem));
  }, STEP_MS_MAX);
  try {
    return await wait(AbortSignal.any([signal, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}
