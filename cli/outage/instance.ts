// The instance of `demo outage`: an application that follows a channel and may be killed at any
// moment. It saves where it is together with what it has had, so that both survive or neither, and
// begins there when it is started again. Runs as a process of its own; tells its parent how it is.

import { assert } from '#base/mod.ts';
import {
  openReplaySource,
  type OpenSubscriberOptions,
  subscribe,
  type SubscribedItem,
  type Subscription,
} from '#client/mod.ts';
import { readSaved, writeSaved } from '../saved-file.ts';
import type { InstanceAccount, InstanceReport, SavedInstance } from './instance-report.ts';

/** What it is told on its command line, as JSON. */
export interface InstanceOrders {
  readonly channel: string;
  readonly api: string;
  readonly multicast: OpenSubscriberOptions;
  /** Where it saves. */
  readonly file: string;
  readonly bufferBytesMax: number;
}

const REPORT_EVERY_MS = 100;
/** Messages between two looks at the clock. */
const LOOK_EVERY_MESSAGES = 256;
const UNTOUCHED: InstanceAccount = { count: 0, next: 1, misplacedCount: 0, lostCount: 0 };

const orders = JSON.parse(process.argv[2] ?? '{}') as InstanceOrders;
const saved = readSaved(orders.file);
const before = saved === undefined ? undefined : (JSON.parse(saved) as SavedInstance);
const account = { ...(before?.account ?? UNTOUCHED) };
let isLive = false;
let replayedCount = 0;
let firstReplayedAtMs: number | undefined;
let lastReplayedAtMs: number | undefined;
let liveAtMs: number | undefined;
let reportedAtMs = 0;

process.on('disconnect', () => process.exit(0));
const subscribedAtMs = performance.now();
const subscription = await subscribe({
  channel: orders.channel,
  from: before === undefined ? 'start' : { cursor: before.cursor },
  multicast: orders.multicast,
  archive: openReplaySource({ url: orders.api }, orders.channel),
  bufferBytesMax: orders.bufferBytesMax,
});
const timer = setInterval(() => report(subscription), REPORT_EVERY_MS);
let untilLook = 0;
for await (const told of subscription) {
  take(told);
  untilLook -= 1;
  if (told.kind === 'message' && untilLook > 0) continue;
  untilLook = LOOK_EVERY_MESSAGES;
  if (performance.now() - reportedAtMs >= REPORT_EVERY_MS) report(subscription);
}
clearInterval(timer);

function take(told: SubscribedItem): void {
  switch (told.kind) {
    case 'message':
      if (told.via === 'replayed' && liveAtMs === undefined) {
        replayedCount += 1;
        lastReplayedAtMs = performance.now();
        firstReplayedAtMs ??= lastReplayedAtMs;
      }
      if (told.sequence !== account.next) account.misplacedCount += 1;
      account.next = told.sequence + 1;
      account.count += 1;
      return;
    case 'lost':
      account.lostCount += told.lastSequence - told.firstSequence + 1;
      account.next = told.lastSequence + 1;
      return;
    case 'live':
    case 'replaying':
      isLive = told.kind === 'live';
      if (isLive) liveAtMs ??= performance.now();
      return;
    case 'session':
      return;
    default:
      told satisfies never;
  }
}

/** Saves and tells; in this order, so that what was told survives. */
function report({ cursor }: Subscription): void {
  reportedAtMs = performance.now();
  if (cursor === undefined) return;
  writeSaved(orders.file, JSON.stringify({ cursor, account } satisfies SavedInstance));
  const times = { subscribedAtMs, firstReplayedAtMs, lastReplayedAtMs, liveAtMs };
  const now = { account, isLive, replayedCount, ...times };
  assert(process.send !== undefined, 'the instance has a parent that listens');
  process.send(now satisfies InstanceReport);
}
