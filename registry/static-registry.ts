// Channels whose addresses stand in the configuration or on the command line, laid over a registry
// or standing alone. They win over the registry beneath, are not held to its pool and are never
// written to it.

import { BackcastError, type ChannelAddress, type Framing, type SessionId } from '#base/mod.ts';
import { requireChannelName, requireFraming } from './answers.ts';
import type { Reconciliation, Registry, SessionAnnouncement } from './types.ts';

/**
 * A registry that answers with `addresses` first and asks `beneath` for every other channel.
 * Without `beneath`, other channels are BACKCAST_CHANNEL_UNKNOWN and announcements go nowhere. Owns
 * `beneath`: disposing of this disposes of that.
 */
export function openStaticRegistry(
  addresses: ReadonlyMap<string, ChannelAddress>,
  beneath?: Registry,
): Registry {
  return new StaticRegistry(addresses, beneath);
}

class StaticRegistry implements Registry {
  readonly #addresses: ReadonlyMap<string, ChannelAddress>;
  readonly #beneath: Registry | undefined;

  constructor(addresses: ReadonlyMap<string, ChannelAddress>, beneath: Registry | undefined) {
    this.#addresses = addresses;
    this.#beneath = beneath;
  }

  async resolve(
    channel: string,
    options: { readonly framing?: Framing } = {},
  ): Promise<ChannelAddress> {
    requireChannelName(channel);
    const fixed = this.#addresses.get(channel);
    if (fixed !== undefined) return requireFraming(channel, fixed, options.framing);
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

  async reconcile(): Promise<Reconciliation> {
    const nothing = { restoredChannels: [], conflicts: [], renewedSessionCount: 0 };
    return (await this.#beneath?.reconcile()) ?? nothing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#beneath?.[Symbol.asyncDispose]();
  }
}
