// Channels of unicast delivery as commands that listen use them: they tell the registry where. For
// channels of multicast delivery there is nothing to do.

import type { ChannelAddress } from '#base/mod.ts';
import type { Config } from '#config/mod.ts';
import type { UnicastOptions } from '#multicast/udp/mod.ts';
import { joinChannel, type Registry } from '#registry/mod.ts';

/** A channel that a registry knows. */
export interface RegisteredChannel {
  readonly registry: Registry;
  readonly channel: string;
  readonly address: ChannelAddress;
}

/** How a subscriber to the channel becomes one of its members. */
export function subscriberUnicast(
  config: Config,
  { registry, channel }: RegisteredChannel,
): UnicastOptions {
  return { ports: config.unicast.ports, join: (at) => joinChannel(registry, channel, at) };
}
