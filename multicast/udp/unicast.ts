// What a channel of unicast delivery needs of its owner, and what it cannot do. Opening the sockets
// is in transport.ts, sending the copies in fan-out.ts.

import {
  BackcastError,
  type ChannelAddress,
  endpointText,
  fixedMembers,
  hasSources,
  type MemberAddress,
  type MemberSource,
} from '#base/mod.ts';
import type { PortRange } from './socket.ts';

/** What a channel of unicast delivery needs beside its address. */
export interface UnicastOptions {
  /** Ports to listen on, the first free one of them; any free one if not given. */
  readonly ports?: PortRange | undefined;
  /** For publishers, which cannot do without: to whom each packet is sent. */
  readonly members?: MemberSource | undefined;
  /**
   * For receivers: makes this one a member, which listens at `at`. Disposing of the answer, if
   * there is one, ends that. Without it, publishers are to know of it by other means.
   */
  readonly join?: ((at: MemberAddress) => Promise<AsyncDisposable | undefined>) | undefined;
}

/**
 * Whether packets go to members. Throws BACKCAST_CONFIG_INVALID for a framing that cannot, and for
 * named sources, which only a group has.
 */
export function isUnicast(address: ChannelAddress): boolean {
  const { delivery, framing, group, port } = address;
  if (delivery !== 'unicast') return false;
  if (framing === 'native' && !hasSources(address)) return true;
  const problem =
    framing === 'native'
      ? 'names its sources, which is done when a group is joined; unicast delivery joins none.'
      : `has framing ${framing}, which is there for programs that know multicast only; unicast ` +
        'delivery needs framing native.';
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `The channel ${endpointText(group, port)} ${problem}`,
  );
}

/**
 * To whom a receiver sends what it would send to the group: nobody. The publisher tells the others
 * what was asked for.
 */
export const NOBODY: MemberSource = fixedMembers([]);

/** To whom a publisher sends. Throws BACKCAST_CONFIG_INVALID if nobody has said so. */
export function requireMembers(
  { group, port }: ChannelAddress,
  unicast: UnicastOptions | undefined,
): MemberSource {
  if (unicast?.members !== undefined) return unicast.members;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `The channel ${endpointText(group, port)} is delivered by unicast: give the publisher its ` +
      'members (unicast.members), from a registry or as a fixed list.',
  );
}
