// Floor 3: the names of channels and their multicast addresses. One interface (types.ts) with a store in a
// file, one in Redis, and one in the configuration.

export { openFileRegistry, type FileRegistryOptions } from './file-registry.ts';
export { parsePool, POOL_DEFAULT, type AddressPool } from './pool.ts';
export type { ReachabilityChange } from './redis-connection.ts';
export {
  openRedisRegistry,
  REDIS_PREFIX_DEFAULT,
  type RedisRegistryOptions,
} from './redis-registry.ts';
export { openStaticRegistry } from './static-registry.ts';
export type * from './types.ts';
