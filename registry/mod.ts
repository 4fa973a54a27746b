// Floor 3: the names of channels and their multicast addresses. One interface (directory/) with a
// store in a file, one in Redis, and one in the configuration.

export { checkAddress, checkAnnouncement, checkMember } from './answers.ts';
export { openFileRegistry, type FileRegistryOptions } from './file-registry.ts';
export { openRegistry, type RegistryListeners, type RegistrySettings } from './open.ts';
export {
  breakStaleLock,
  createLock,
  hasErrno,
  isProcessAlive,
  removeLock,
} from './lock-file.ts';
export {
  type KeptRegistryListeners,
  type KeptRegistrySettings,
  openKeptRegistry,
} from './kept-registry.ts';
export * from './pool.ts';
export type { ReachabilityChange } from './redis-connection.ts';
export { openRedisRegistry, type RedisRegistryOptions } from './redis-registry.ts';
export { formatAddress, parseAddressText } from './redis-scripts.ts';
export { parseDocument, serializeDocument } from './registry-document.ts';
export { openStaticRegistry, type StaticChannel } from './static-registry.ts';
export {
  joinChannel,
  RegistryMembers,
  type RegistryMembersOptions,
} from '#registry/directory/mod.ts';
export type * from '#registry/directory/mod.ts';
