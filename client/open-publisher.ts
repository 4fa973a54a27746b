// `openPublisher`: a publisher by the name of its channel, with settings that suit most. Who needs
// others names them; who has no registry gives the address.

import {
  MESSAGE_BYTES_DEFAULT_MAX,
  PUBLISH_BYTES_PER_SEC_DEFAULT,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { packetBytesOf } from '#multicast/udp/mod.ts';
import type { RegistryMembersOptions } from '#registry/directory/mod.ts';
import { announced, placeOf, type PlaceSettings, sendsTo } from './channel-place.ts';
import { ChannelPublisher, type OpenPublisherOptions } from './publisher.ts';

/** Which channel, who knows where it is, and what is to differ from the defaults. */
export interface PublisherSettings
  extends PlaceSettings,
    Partial<Omit<OpenPublisherOptions, 'address'>> {
  readonly channel: string;
  /** How the list of members is kept, on a channel of unicast delivery that a registry knows. */
  readonly members?: RegistryMembersOptions | undefined;
}

const LOOPBACK = '127.0.0.1';
const FLUSH_MS = 1;
const LINGER_MS = 2_000;

/**
 * Opens a publisher on `channel`, on the loopback interface if none is named. A registry that is
 * given hears of its session until it is closed, and says to whom a channel of unicast delivery is
 * sent. Errors: those of ChannelPublisher.open and of the registry; BACKCAST_CHANNEL_NAME;
 * BACKCAST_USAGE without either registry or address.
 */
export async function openPublisher(settings: PublisherSettings): Promise<ChannelPublisher> {
  const { channel, registry, members, interfaceAddress = LOOPBACK, ...given } = settings;
  const address = await placeOf(channel, settings);
  const resources = new AsyncDisposableStack();
  const place = { channel, address, registry, members };
  const publisher = await ChannelPublisher.open(
    {
      packetBytesMax: packetBytesOf(interfaceAddress, address.group),
      messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
      windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
      windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
      rateBytesPerSec: PUBLISH_BYTES_PER_SEC_DEFAULT,
      flushMs: FLUSH_MS,
      lingerMs: LINGER_MS,
      ...given,
      interfaceAddress,
      address,
      unicast: await sendsTo(place, given.unicast, resources),
    },
    resources,
  );
  if (registry === undefined) return publisher;
  try {
    resources.use(await announced(registry, channel, publisher));
    return publisher;
  } catch (error) {
    await publisher.close();
    throw error;
  }
}
