// The registry that a configuration asks for.

import { join } from 'node:path';
import { BackcastError, type ChannelAddress, dportOf } from '#base/mod.ts';
import { openFileRegistry } from './file-registry.ts';
import { openRedisRegistry, type RedisRegistryOptions } from './redis-registry.ts';
import { openStaticRegistry } from './static-registry.ts';
import type { PoolOptions, Registry } from './types.ts';

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
    readonly pool: PoolOptions;
  };
  /** Channels with a fixed address. */
  readonly channels: readonly ({ readonly name: string } & ChannelAddress)[];
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
  const fixed = settings.channels.map(({ name, group, port, dport, framing }) => {
    const address = { group, port, dport: dportOf(framing, port, dport), framing };
    return [name, address] as const;
  });
  return openStaticRegistry(new Map(fixed), stored);
}

async function openStored(
  { home, redisUrl, registry }: RegistrySettings,
  listeners: RegistryListeners,
): Promise<Registry> {
  const { kind, prefix, leaseMs, pool } = registry;
  const shared = { ...listeners, leaseMs, pool };
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
