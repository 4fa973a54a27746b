// Keeps a publisher's session announced in the registry for as long as it runs.

import { hostname } from 'node:os';
import { toError } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Config } from '#config/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import type { Registry } from '#registry/mod.ts';

/**
 * Announces the session of `publisher` and renews it three times within each lease. Disposing withdraws
 * it. A registry that is away does not stop the publisher: the next renewal makes up.
 */
export async function announced(
  registry: Registry,
  channel: string,
  publisher: ChannelPublisher,
  config: Config,
): Promise<AsyncDisposable> {
  const { session } = publisher;
  await registry.announce({
    channel,
    session,
    source: publisher.source,
    host: hostname(),
    address: config.interface,
    startedAtUs: wallClockUs(),
  });
  const timer = setInterval(() => {
    registry.reconcile().catch((error: unknown) => void toError(error));
  }, config.registry.leaseMs / 3);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await registry.withdraw(channel, session).catch(() => undefined);
    },
  };
}
