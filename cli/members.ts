// Channels of unicast delivery as commands use them: the registry tells publishers who listens, and
// is told so by receivers. For channels of multicast delivery there is nothing to do.

import type { ChannelAddress } from '#base/mod.ts';
import type { Config } from '#config/mod.ts';
import type { UnicastOptions } from '#multicast/udp/mod.ts';
import { joinChannel, type Registry, RegistryMembers } from '#registry/mod.ts';

/** A channel that a registry knows. */
export interface RegisteredChannel {
  readonly registry: Registry;
  readonly channel: string;
  readonly address: ChannelAddress;
}

/**
 * What a publisher on the channel needs to know of its members, kept up to date in `resources`.
 * `tell` hears a sentence when the registry cannot be asked, and when it can again.
 */
export async function publisherUnicast(
  config: Config,
  { registry, channel, address }: RegisteredChannel,
  resources: AsyncDisposableStack,
  tell: (sentence: string) => void,
): Promise<UnicastOptions | undefined> {
  if (address.delivery !== 'unicast') return undefined;
  const { membersMax, ports } = config.unicast;
  const { leaseMs } = config.registry;
  const options = { membersMax, leaseMs, tell };
  const members = resources.use(await RegistryMembers.open(registry, channel, options));
  return { ports, members };
}

/** How a subscriber to the channel becomes one of its members. */
export function subscriberUnicast(
  config: Config,
  { registry, channel }: RegisteredChannel,
): UnicastOptions {
  return { ports: config.unicast.ports, join: (at) => joinChannel(registry, channel, at) };
}
