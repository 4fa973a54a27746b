// The registry that a configuration asks for.

import { join } from 'node:path';
import {
  BackcastError,
  canonicalAddress,
  type ChannelAddress,
  type Authentication,
  type Delivery,
  dportOf,
  parseMemberAddress,
} from '#base/mod.ts';
import { openFileRegistry } from './file-registry.ts';
import { openRedisRegistry, type RedisRegistryOptions } from './redis-registry.ts';
import { openStaticRegistry, type StaticChannel } from './static-registry.ts';
import { concise } from './answers.ts';
import type { PoolOptions, Registry } from '#registry/directory/mod.ts';

/** The settings that matter here; a whole configuration fits. */
export interface RegistrySettings {
  /** Folder of the registry file, or of the file in which answers of Redis are remembered. */
  readonly home: string;
  readonly redisUrl?: string;
  readonly registry: {
    /** `auto`: Redis if there is a URL, else the file. */
    readonly kind: 'auto' | 'file' | 'redis';
    readonly prefix: string;
    readonly leaseMs: number;
    /** Of new channels; multicast if not given. */
    readonly delivery?: Delivery;
    readonly pool: PoolOptions;
  };
  /** Channels with a fixed address. */
  readonly channels: readonly (ChannelAddress & {
    readonly name: string;
    /** Each as address:port. */
    readonly members?: readonly string[];
  })[];
  readonly authentication?: {
    /** Of new channels. */
    readonly newChannels: Authentication;
  };
  readonly unicast?: {
    /** Members that a channel may have. */
    readonly membersMax: number;
  };
}

/** Whom to tell about unusable entries and about Redis going and coming. */
export type RegistryListeners = Pick<RedisRegistryOptions, 'onInvalid' | 'onReachability'>;

/**
 * Opens the registry that `settings` describe, fixed channels first. Throws BACKCAST_CONFIG_INVALID
 * for a wrong pool or URL; an outage of Redis shows only when it is asked.
 */
export async function openRegistry(
  settings: RegistrySettings,
  listeners: RegistryListeners = {},
): Promise<Registry> {
  const stored = await openStored(settings, listeners);
  if (settings.channels.length === 0) return stored;
  const fixed = settings.channels.map((channel) => [channel.name, fixedChannel(channel)] as const);
  return openStaticRegistry(new Map(fixed), stored);
}

/** A configuration may write an IPv6 address as it likes, and need not know the dport of zmq. */
function fixedChannel(channel: RegistrySettings['channels'][number]): StaticChannel {
  const { group, port, dport, framing, delivery, authentication, sources } = channel;
  const { members: endpoints = [] } = channel;
  const members = endpoints.map(parseMemberAddress).filter((it) => it !== undefined);
  const texts = sources?.map((source) => canonicalAddress(source) ?? source);
  return {
    group: canonicalAddress(group) ?? group,
    port,
    dport: dportOf(framing, port, dport),
    ...concise({ framing, delivery, authentication }),
    ...(texts && { sources: texts }),
    members,
  };
}

async function openStored(
  { home, redisUrl, registry, unicast, authentication }: RegistrySettings,
  listeners: RegistryListeners,
): Promise<Registry> {
  const { kind, prefix, leaseMs, delivery = 'multicast', pool } = registry;
  const defaults = { delivery, authentication: authentication?.newChannels ?? 'off' };
  const shared = { ...listeners, ...unicast, ...defaults, leaseMs, pool };
  if (kind === 'file' || (kind === 'auto' && redisUrl === undefined))
    return openFileRegistry({ ...shared, path: join(home, 'registry.json') });
  if (redisUrl === undefined)
    throw new BackcastError(
      'BACKCAST_CONFIG_INVALID',
      'the registry is to be in Redis, but REDIS_URL is not given',
    );
  const cachePath = join(home, 'registry-cache.json');
  return await openRedisRegistry({ ...shared, url: redisUrl, prefix, cachePath });
}
