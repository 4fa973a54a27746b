// What `import '@backcast/client/registry'` gives: where channels live. A door of its own, since it
// needs ioredis, which who brings an address does not.

export {
  type ChannelMember,
  type KeptRegistryListeners as RegistryListeners,
  type KeptRegistrySettings as RegistrySettings,
  openKeptRegistry as openRegistry,
  type Registry,
  type ResolveOptions,
  type SessionAnnouncement,
} from '#registry/mod.ts';
