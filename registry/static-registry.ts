// Channels whose addresses stand in the configuration or on the command line, laid over a registry
// or standing alone. They win over the registry beneath, are not held to its pool and are never
// written to it.

import {
  BackcastError,
  type ChannelAddress,
  endpointText,
  type MemberAddress,
  requireChannelName,
  type SessionId,
} from '#base/mod.ts';
import { requireProperties } from './answers.ts';
import type {
  ChannelMember,
  MemberLease,
  Reconciliation,
  Registry,
  ResolveOptions,
  SessionAnnouncement,
} from '#registry/directory/mod.ts';

/** A channel whose place is fixed. */
export interface StaticChannel extends ChannelAddress {
  /** Its only members, for unicast delivery; those of the registry beneath if there are none. */
  readonly members?: readonly MemberAddress[] | undefined;
}

/**
 * A registry that answers with `addresses` first and asks `beneath` for every other channel.
 * Without `beneath`, other channels are BACKCAST_CHANNEL_UNKNOWN and announcements go nowhere. Owns
 * `beneath`: disposing of this disposes of that.
 */
export function openStaticRegistry(
  addresses: ReadonlyMap<string, StaticChannel>,
  beneath?: Registry,
): Registry {
  return new StaticRegistry(addresses, beneath);
}

class StaticRegistry implements Registry {
  readonly #addresses: ReadonlyMap<string, ChannelAddress>;
  readonly #members = new Map<string, readonly MemberAddress[]>();
  readonly #beneath: Registry | undefined;

  constructor(addresses: ReadonlyMap<string, StaticChannel>, beneath: Registry | undefined) {
    const places = new Map<string, ChannelAddress>();
    for (const [channel, { members = [], ...address }] of addresses) {
      places.set(channel, address);
      if (members.length > 0) this.#members.set(channel, members);
    }
    this.#addresses = places;
    this.#beneath = beneath;
  }

  async resolve(channel: string, options: ResolveOptions = {}): Promise<ChannelAddress> {
    requireChannelName(channel);
    const fixed = this.#addresses.get(channel);
    if (fixed !== undefined) return requireProperties(channel, fixed, options);
    if (this.#beneath !== undefined) return await this.#beneath.resolve(channel, options);
    throw new BackcastError(
      'BACKCAST_CHANNEL_UNKNOWN',
      `channel "${channel}" has no address: add it to \`channels\` in the configuration, give ` +
        '--group, or configure a registry',
    );
  }

  async lookup(channel: string): Promise<ChannelAddress | undefined> {
    requireChannelName(channel);
    return this.#addresses.get(channel) ?? (await this.#beneath?.lookup(channel));
  }

  async list(): Promise<ReadonlyMap<string, ChannelAddress>> {
    return new Map([...((await this.#beneath?.list()) ?? []), ...this.#addresses]);
  }

  async announce(session: SessionAnnouncement): Promise<void> {
    await this.#beneath?.announce(session);
  }

  async withdraw(channel: string, session: SessionId): Promise<void> {
    await this.#beneath?.withdraw(channel, session);
  }

  async sessions(channel: string): Promise<readonly SessionAnnouncement[]> {
    requireChannelName(channel);
    return (await this.#beneath?.sessions(channel)) ?? [];
  }

  async join(member: ChannelMember): Promise<void> {
    const { channel, address, port } = member;
    requireChannelName(channel);
    const fixed = this.#members.get(channel);
    if (fixed === undefined && this.#beneath !== undefined) return this.#beneath.join(member);
    if (fixed?.some((place) => place.address === address && place.port === port)) return;
    throw new BackcastError(
      'BACKCAST_CONFIG_INVALID',
      `${endpointText(address, port)} is none of the members of channel "${channel}": add it to ` +
        '`members` of the channel, or let `unicast.ports` choose a port that stands there',
    );
  }

  async leave(channel: string, id: string): Promise<void> {
    await this.#beneath?.leave(channel, id);
  }

  async members(channel: string): Promise<readonly MemberLease[]> {
    requireChannelName(channel);
    const fixed = this.#members.get(channel);
    if (fixed === undefined) return (await this.#beneath?.members(channel)) ?? [];
    return fixed.map(({ address, port }, index) => {
      const id = index.toString(16).padStart(16, '0');
      const member = { channel, id, address, port, host: address, joinedAtUs: 0 };
      return { member, remainingMs: Number.POSITIVE_INFINITY };
    });
  }

  watchMembers(channel: string, onChange: () => void): Disposable | undefined {
    return this.#members.has(channel)
      ? undefined
      : this.#beneath?.watchMembers?.(channel, onChange);
  }

  async reconcile(): Promise<Reconciliation> {
    const reconciliation = await this.#beneath?.reconcile();
    const nothing = { renewedSessionCount: 0, renewedMemberCount: 0 };
    return reconciliation ?? { restoredChannels: [], conflicts: [], ...nothing };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#beneath?.[Symbol.asyncDispose]();
  }
}
