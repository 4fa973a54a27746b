// Where a channel is and who is on it, as a publisher or a subscriber needs it: from an address
// that is given, or from a registry.

import { hostname } from 'node:os';
import {
  BackcastError,
  canonicalAddress,
  type ChannelAddress,
  DPORT_DEFAULT,
  dportOf,
  isMulticastGroup,
  isPort,
  requireChannelName,
} from '#base/mod.ts';
import { type UnicastOptions, wallClockUs } from '#multicast/udp/mod.ts';
import {
  joinChannel,
  type Registry,
  RegistryMembers,
  type RegistryMembersOptions,
} from '#registry/directory/mod.ts';
import type { ChannelPublisher } from './publisher.ts';

/** What is asked of a registry; every registry of Backcast serves. */
export type ChannelRegistry = Pick<
  Registry,
  'resolve' | 'announce' | 'withdraw' | 'join' | 'leave' | 'members' | 'watchMembers'
>;

/** An address: framing `native`, and data-destination port 7500, unless others are given. */
export type AddressSettings = Pick<ChannelAddress, 'group' | 'port'> & Partial<ChannelAddress>;

/** Who says where a channel is; the address wins. */
export interface PlaceSettings {
  readonly address?: AddressSettings | undefined;
  readonly registry?: ChannelRegistry | undefined;
}

const FRAMINGS = new Set(['native', 'raw', 'zmq']);

/**
 * Where `channel` is. Errors: those of Registry.resolve; BACKCAST_CHANNEL_NAME; BACKCAST_USAGE
 * without a usable address and without a registry.
 */
export async function placeOf(
  channel: string,
  { address, registry }: PlaceSettings,
): Promise<ChannelAddress> {
  requireChannelName(channel);
  if (address !== undefined) return completed(address);
  if (registry !== undefined) return await registry.resolve(channel);
  throw new BackcastError(
    'BACKCAST_USAGE',
    `Nobody says where the channel "${channel}" is: give its address or a registry.`,
  );
}

/** From JavaScript anything may come. */
function completed(given: Partial<AddressSettings>): ChannelAddress {
  const { framing = 'native', port = 0, dport = DPORT_DEFAULT } = given;
  const group = canonicalAddress(given.group ?? '') ?? '';
  if (isMulticastGroup(group) && isPort(port) && isPort(dport) && FRAMINGS.has(framing))
    return { ...given, group, port, framing, dport: dportOf(framing, port, dport) };
  throw new BackcastError(
    'BACKCAST_USAGE',
    `${JSON.stringify(given)} is no address of a channel: it has a multicast group, a port, and ` +
      'perhaps a dport and a framing (native, raw, zmq).',
  );
}

/**
 * To whom a publisher on a channel of unicast delivery sends: by the registry, kept up to date in
 * `resources`. As `given` for others, and where that names the members.
 */
export async function sendsTo(
  { channel, address, registry, members }: RegisteredChannel,
  given: UnicastOptions | undefined,
  resources: AsyncDisposableStack,
): Promise<UnicastOptions | undefined> {
  if (address.delivery !== 'unicast' || registry === undefined) return given;
  if (given?.members !== undefined) return given;
  const listed = resources.use(await RegistryMembers.open(registry, channel, members));
  return { ...given, members: listed };
}

/** A channel and the registry that knows it. */
export interface RegisteredChannel {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly registry: ChannelRegistry | undefined;
  /** How the list of its members is kept. */
  readonly members?: RegistryMembersOptions | undefined;
}

/** How a subscriber becomes a member of a channel of unicast delivery, if a registry is there. */
export function joinsBy(
  { channel, address, registry }: RegisteredChannel,
  given: UnicastOptions | undefined,
): UnicastOptions | undefined {
  if (address.delivery !== 'unicast' || registry === undefined) return given;
  return { join: (at) => joinChannel(registry, channel, at), ...given };
}

/**
 * Announces the session of `publisher`; whoever opened the registry renews it by reconciling.
 * Disposing withdraws it. Errors: those of Registry.announce.
 */
export async function announced(
  registry: Pick<ChannelRegistry, 'announce' | 'withdraw'>,
  channel: string,
  publisher: ChannelPublisher,
): Promise<AsyncDisposable> {
  const { session, source, address } = publisher;
  const startedAtUs = wallClockUs();
  await registry.announce({ channel, session, source, host: hostname(), address, startedAtUs });
  return {
    [Symbol.asyncDispose]: () => registry.withdraw(channel, session).catch(() => undefined),
  };
}
