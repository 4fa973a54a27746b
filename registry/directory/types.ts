// What a registry is: it maps the name of a channel to its multicast address, hands out a new
// address the first time a name is asked for, and knows which sessions are on a channel now. Two
// stores stand behind this one interface: a file for one host (file-registry.ts) and Redis for many
// (redis-registry.ts). A registry carries no messages and is never asked on the way of one.

import type {
  Authentication,
  ChannelAddress,
  Delivery,
  Framing,
  MemberAddress,
  SessionId,
} from '#base/mod.ts';

/** One publisher incarnation that says it is on a channel. */
export interface SessionAnnouncement {
  readonly channel: string;
  readonly session: SessionId;
  /** The publisher's human name, the same across restarts. */
  readonly source: string;
  /** Host name of the machine it runs on. */
  readonly host: string;
  /** IP address it sends from. */
  readonly address: string;
  /** Microseconds since 1970. */
  readonly startedAtUs: number;
}

/** One receiver of a channel of unicast delivery, and where it listens. */
export interface ChannelMember extends MemberAddress {
  readonly channel: string;
  /** 16 hex digits, drawn anew each time that somebody joins. */
  readonly id: string;
  /** Host name of the machine it runs on. */
  readonly host: string;
  /** Microseconds since 1970. */
  readonly joinedAtUs: number;
  /** When it left, in microseconds since 1970. */
  readonly leftAtUs?: number;
}

/** A member as the registry knows it now. */
export interface MemberLease {
  readonly member: ChannelMember;
  /** Milliseconds after which it is forgotten if it is not renewed. */
  readonly remainingMs: number;
}

/** What a channel is to be like when it is given an address, or must be like if it has one. */
export interface ResolveOptions {
  /** `native` for a new channel if not given. */
  readonly framing?: Framing | undefined;
  /** The registry's default for a new channel if not given. */
  readonly delivery?: Delivery | undefined;
  /** The registry's default for a new channel if not given. */
  readonly authentication?: Authentication | undefined;
}

/** What a channel is like, beside where it lives. What is as usual is left out. */
export type ChannelProperties = Pick<ChannelAddress, 'framing' | 'delivery' | 'authentication'>;

/**
 * Something that a registry holds and that cannot be used. It is skipped, never repaired in secret.
 */
export interface InvalidEntry {
  readonly channel: string;
  /** What is wrong with it and what to do, one sentence. */
  readonly problem: string;
}

/** What `reconcile` had to do. */
export interface Reconciliation {
  /** Channels that the store had lost and that were written back. */
  readonly restoredChannels: readonly string[];
  /** Channels whose address in the store is not the one in use here; the one in use is kept. */
  readonly conflicts: readonly InvalidEntry[];
  /** Sessions of this process whose lease was renewed. */
  readonly renewedSessionCount: number;
  /** Members of this process whose lease was renewed. */
  readonly renewedMemberCount: number;
}

/** Where channels live and who is on them. Every answer has been checked against the pool. */
export interface Registry extends AsyncDisposable {
  /**
   * The address of `channel`, allocated from the pool the first time. Atomic: any number of
   * processes that ask at once get the same answer, and two channels never share a group or a port.
   * A channel that is known keeps its framing, delivery and authentication; asking for another is
   * BACKCAST_REGISTRY_INVALID. Errors: BACKCAST_CHANNEL_NAME, BACKCAST_POOL_EXHAUSTED,
   * BACKCAST_REGISTRY_INVALID, BACKCAST_REDIS_UNREACHABLE, BACKCAST_HOME_UNUSABLE,
   * BACKCAST_CONFIG_INVALID (a framing that goes with neither unicast delivery
   * nor authentication).
   */
  resolve(channel: string, options?: ResolveOptions): Promise<ChannelAddress>;
  /** The address of `channel`, or undefined if it has none. Never allocates. */
  lookup(channel: string): Promise<ChannelAddress | undefined>;
  /** Every channel with a usable address. Unusable entries go to `onInvalid`. */
  list(): Promise<ReadonlyMap<string, ChannelAddress>>;
  /**
   * Says that `session` is there, or renews its lease. It is forgotten when the lease runs out.
   * While the store is away this succeeds all the same: `reconcile` makes up for it.
   */
  announce(session: SessionAnnouncement): Promise<void>;
  /** Ends the lease of `session`. Harmless if there is none. */
  withdraw(channel: string, session: SessionId): Promise<void>;
  /** The sessions on `channel` whose lease stands, oldest first. */
  sessions(channel: string): Promise<readonly SessionAnnouncement[]>;
  /**
   * Makes `member` one to whom publishers of its channel send, or renews its lease. It is forgotten
   * when the lease runs out. While the store is away this succeeds all the same: `reconcile` makes
   * up for it. Errors: BACKCAST_CHANNEL_FULL; BACKCAST_CONFIG_INVALID where the members are fixed
   * and this is none of them.
   */
  join(member: ChannelMember): Promise<void>;
  /**
   * Says that the member `id` of `channel`, which joined by this very registry, has left. Harmless
   * if there is none.
   */
  leave(channel: string, id: string): Promise<void>;
  /**
   * The members of `channel`, the longest there first. One that has left stands among them, with
   * `leftAtUs`, until its lease runs out: so it can be told from one that the store has lost.
   */
  members(channel: string): Promise<readonly MemberLease[]>;
  /**
   * Calls `onChange` soon after somebody has joined or left `channel`, until the answer is
   * disposed. A hint, where the store can give one: it may be late, missing or for nothing.
   */
  watchMembers?(channel: string, onChange: () => void): Disposable | undefined;
  /**
   * Renews what this process announced or joined and writes back what the store has lost. The
   * owner calls it three times within a lease. An outage of the store is not an error here: the
   * next call makes up.
   */
  reconcile(): Promise<Reconciliation>;
}

/** What both registries are told. */
export interface RegistryOptions {
  readonly pool?: PoolOptions;
  /** How long an announcement stands without renewal, in milliseconds. */
  readonly leaseMs?: number;
  /** Delivery of channels that are given an address without one asked for; multicast by default. */
  readonly delivery?: Delivery;
  /** The same of authentication; off by default. */
  readonly authentication?: Authentication;
  /** Members that a channel may have. */
  readonly membersMax?: number;
  /** Called once for every unusable entry that was skipped. */
  readonly onInvalid?: (entry: InvalidEntry) => void;
}

/** The addresses that a registry may hand out. */
export interface PoolOptions {
  /**
   * Multicast groups: `239.192.0.0/20`, `239.192.1.1-239.192.1.40`, `239.192.7.7` or, where at most
   * the last 16 bits differ, the same for IPv6: `ff15::1:0/112`.
   */
  readonly groups: readonly string[];
  /** First and last UDP port. */
  readonly ports: readonly [number, number];
  /** PGM data-destination port of every channel. */
  readonly dport: number;
}
