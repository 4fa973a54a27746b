// What a channel of unicast delivery needs of its owner, and what it cannot do. Opening the sockets
// is in transport.ts, sending the copies in fan-out.ts.

import {
  BackcastError,
  type ChannelAddress,
  fixedMembers,
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

/** Whether packets go to members. Throws BACKCAST_CONFIG_INVALID for a framing that cannot. */
export function isUnicast({ delivery, framing, group, port }: ChannelAddress): boolean {
  if (delivery !== 'unicast') return false;
  if (framing === 'native') return true;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `The channel ${group}:${port} has framing ${framing}, which is there for programs that know ` +
      'multicast only; unicast delivery needs framing native.',
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
    `The channel ${group}:${port} is delivered by unicast: give the publisher its members ` +
      '(unicast.members), from a registry or as a fixed list.',
  );
}
