// `openPublisher`: a publisher by the name of its channel, with settings that suit most. Who needs
// others names them; who has no registry gives the address.

import {
  BackcastError,
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
  PUBLISH_BYTES_PER_SEC_DEFAULT,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { packetBytesOf } from '#multicast/udp/mod.ts';
import { ChannelPublisher, type OpenPublisherOptions } from './publisher.ts';

/** Where the addresses of channels are known; any registry of Backcast serves. */
export interface AddressBook {
  resolve(channel: string): Promise<ChannelAddress>;
}

/** Which channel, and what is to differ from the defaults of the configuration. */
export interface PublisherSettings extends Partial<OpenPublisherOptions> {
  readonly channel: string;
  /** Asked for the address of the channel unless one is given. */
  readonly registry?: AddressBook;
}

const LOOPBACK = '127.0.0.1';
const FLUSH_MS = 1;
const LINGER_MS = 2_000;

/**
 * Opens a publisher on `channel`, on the loopback interface if none is named. Errors: those of
 * ChannelPublisher.open and of the registry; BACKCAST_USAGE without either registry or address.
 */
export async function openPublisher(settings: PublisherSettings): Promise<ChannelPublisher> {
  const { channel, registry, ...given } = settings;
  const address = given.address ?? (await registry?.resolve(channel));
  if (address === undefined)
    throw new BackcastError(
      'BACKCAST_USAGE',
      `Nobody says where the channel "${channel}" is: give its address or a registry.`,
    );
  const { interfaceAddress = LOOPBACK } = given;
  return await ChannelPublisher.open({
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
  });
}
