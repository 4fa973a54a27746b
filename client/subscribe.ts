// `subscribe`: a subscription by the name of its channel, with settings that suit most. Who needs
// others names them.

import {
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
  RECEIVE_BUFFER_BYTES_DEFAULT,
  REPAIR_TIMEOUT_MS_DEFAULT,
  requireChannelName,
  SOURCE_EXPIRY_MS,
} from '#base/mod.ts';
import { joinsBy, placeOf, type PlaceSettings } from './channel-place.ts';
import { openReplaySource } from './http-replay-source.ts';
import type { ReplayApi } from './http-request.ts';
import type { OpenSubscriberOptions } from './live-feed.ts';
import type { ReplaySource } from './replay-source.ts';
import { Subscription } from './subscription.ts';
import type { SubscribeOptions } from './subscription-items.ts';

/** How a channel is heard: where it is, and what is to differ from the defaults. */
export interface HearingSettings
  extends PlaceSettings,
    Partial<Omit<OpenSubscriberOptions, 'address'>> {}

/** Which channel, where to begin, and by which ways; at least one of the two ways is given. */
export interface SubscribeSettings extends Omit<SubscribeOptions, 'multicast' | 'archive'> {
  /** On the loopback interface if none is named. Without it, messages come from the archive. */
  readonly multicast?: HearingSettings | undefined;
  /** The replay API, or another archive. Without one, a hole is lost at once. */
  readonly archive?: ReplayApi | ReplaySource | undefined;
}

const LOOPBACK = '127.0.0.1';

/**
 * Opens a subscription to `channel`. A registry that is given says where it is, and of a channel of
 * unicast delivery hears that this one listens. Errors: those of Subscription.open and of the
 * registry; BACKCAST_USAGE without either registry or address.
 */
export async function subscribe(settings: SubscribeSettings): Promise<Subscription> {
  const { channel, multicast, archive, ...given } = settings;
  requireChannelName(channel);
  return await Subscription.open({
    ...given,
    channel,
    multicast: multicast && (await hearing(channel, multicast)),
    archive: archive && archiveOf(channel, archive),
  });
}

/** How `channel` is heard by `settings`, with what they leave open. */
async function hearing(channel: string, settings: HearingSettings): Promise<OpenSubscriberOptions> {
  const { registry, interfaceAddress = LOOPBACK, ...given } = settings;
  const address: ChannelAddress = await placeOf(channel, settings);
  return {
    receiveBufferBytes: RECEIVE_BUFFER_BYTES_DEFAULT,
    repairTimeoutMs: REPAIR_TIMEOUT_MS_DEFAULT,
    messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
    sourceExpiryMs: SOURCE_EXPIRY_MS,
    ...given,
    interfaceAddress,
    address,
    unicast: joinsBy({ channel, address, registry }, given.unicast),
  };
}

function archiveOf(channel: string, archive: ReplayApi | ReplaySource): ReplaySource {
  return 'open' in archive ? archive : openReplaySource(archive, channel);
}
