// What `import '@backcast/client/registry'` gives: where channels live. A door of its own, since it
// needs ioredis, which who brings an address does not.

export {
  type ChannelMember,
  joinChannel,
  openRegistry,
  type Registry,
  type RegistryListeners,
  RegistryMembers,
  type RegistrySettings,
  type ResolveOptions,
  type SessionAnnouncement,
} from '#registry/mod.ts';
