// Tells the registry that a publisher's session is there, for as long as it runs.

import { hostname } from 'node:os';
import type { ChannelPublisher } from '#client/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import type { Registry } from '#registry/mod.ts';

/**
 * Announces the session of `publisher`; whoever opened the registry renews it by reconciling.
 * Disposing withdraws it.
 */
export async function announced(
  registry: Registry,
  channel: string,
  publisher: ChannelPublisher,
): Promise<AsyncDisposable> {
  const { session } = publisher;
  await registry.announce({
    channel,
    session,
    source: publisher.source,
    host: hostname(),
    address: publisher.address,
    startedAtUs: wallClockUs(),
  });
  return {
    [Symbol.asyncDispose]: () => registry.withdraw(channel, session).catch(() => undefined),
  };
}
