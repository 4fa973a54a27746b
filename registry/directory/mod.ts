// Floor 2: what a registry is, whichever store it has, and what its users make of its answers. The
// stores are next door, with the packages that they need.

export {
  byAge,
  joinChannel,
  RegistryMembers,
  type RegistryMembersOptions,
  requireRoom,
} from './members.ts';
export type * from './types.ts';
