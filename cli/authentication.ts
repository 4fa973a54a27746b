// The keys as commands use them: opened from the configuration, read again while the command runs,
// and heard when they change or cannot be read; and a word when packets are not believed. Never
// prints a key.

import type { Config } from '#config/mod.ts';
import {
  type PublisherCounters,
  type ReceiverCounters,
  RejectionReport,
} from '#multicast/core/mod.ts';
import { KeyRing, monotonicMs } from '#multicast/udp/mod.ts';

const LOOK_EVERY_MS = 1_000;

/**
 * The keys that `config` names, opened into `resources`; undefined if it names none. Errors:
 * BACKCAST_KEYS_INVALID.
 */
export function openKeys(
  config: Config,
  resources: AsyncDisposableStack,
  tell: (sentence: string) => void,
): KeyRing | undefined {
  const ring = KeyRing.open(config.authentication, {
    onChange: (ids) => tell(`authentication: keys changed, now ${ids.join(' and ')}`),
    onProblem: (problem) => tell(`authentication: the keys stay as they were: ${problem}`),
  });
  if (ring !== undefined) resources.use(ring);
  return ring;
}

/** Tells `tell`, once a minute at most, how many packets were not believed; into `resources`. */
export function tellRejections(
  counters: Readonly<PublisherCounters> | Readonly<ReceiverCounters>,
  resources: AsyncDisposableStack,
  tell: (sentence: string) => void,
): void {
  const report = new RejectionReport();
  const timer = setInterval(() => {
    const rejections = report.poll(counters, monotonicMs());
    if (rejections === undefined) return;
    const { missing, unknownKey, wrong } = rejections;
    tell(
      `authentication: packets dropped: ${missing} without a tag, ${unknownKey} with an unknown ` +
        `key, ${wrong} with a wrong tag`,
    );
  }, LOOK_EVERY_MS);
  timer.unref();
  resources.defer(() => clearInterval(timer));
}
