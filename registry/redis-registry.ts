// The registry of many hosts, in Redis. Redis is asked for what is new and for what others did;
// what has been answered once is kept in memory and in a file, so that a channel that runs goes on
// running while Redis is away, and so that everybody together can rebuild what Redis has lost
// (`reconcile`). Holds no truth of the archive: losing all of it loses no message.

import { setTimeout as delay } from 'node:timers/promises';
import {
  type BackcastError,
  FANOUT_MEMBERS_DEFAULT_MAX,
  isChannelName,
  SESSION_LEASE_MS_DEFAULT,
  type ChannelAddress,
  type SessionId,
  requireChannelName,
} from '#base/mod.ts';
import { AddressCache } from './address-cache.ts';
import {
  checkAddress,
  checkAnnouncement,
  checkMember,
  invalidEntry,
  newProperties,
  requireProperties,
} from './answers.ts';
import {
  type Leased,
  leasedMember,
  leasedSession,
  type LeaseKind,
  leaseKey,
  LEASES_MAX,
  tooManyLeases,
} from './leases.ts';
import { byAge, requireRoom } from '#registry/directory/mod.ts';
import { parsePool, POOL_DEFAULT, poolExhausted, preferredSlot, type AddressPool } from './pool.ts';
import { RedisConnection, type ReachabilityChange } from './redis-connection.ts';
import {
  conflictText,
  formatAddress,
  formatProperties,
  LEASE,
  LEASED,
  type LeasedText,
  LIST,
  LOOKUP,
  parseAddressText,
  parseLeased,
  RESOLVE,
  RESTORE,
} from './redis-scripts.ts';
import { isAboutTheStore, whileAway } from './store-troubles.ts';
import type {
  ChannelMember,
  InvalidEntry,
  MemberLease,
  Reconciliation,
  Registry,
  RegistryOptions,
  ResolveOptions,
  SessionAnnouncement,
} from '#registry/directory/mod.ts';

/** Start of every key unless told otherwise. */
export const REDIS_PREFIX_DEFAULT = 'backcast:';

/** An archiver looks every second, unless told otherwise, and writes back what is missing. */
const SETTLE_MS_DEFAULT = 2_000;

/** What a Redis registry is told. */
export interface RedisRegistryOptions extends RegistryOptions {
  /** redis://, rediss:// or unix:///path/to/socket. */
  readonly url: string;
  /** Start of every key: installations that share a Redis take different ones. */
  readonly prefix?: string;
  /** File in which answers are remembered across restarts; none by default. */
  readonly cachePath?: string;
  /**
   * How long a Redis without any channel is given to be told what it has lost, before a new channel
   * is given an address there.
   */
  readonly settleMs?: number;
  /** Called when Redis goes away and when it comes back. */
  readonly onReachability?: (change: ReachabilityChange) => void;
}

/**
 * Opens the registry in Redis, without yet talking to it. Throws BACKCAST_CONFIG_INVALID for a
 * wrong URL or pool. While Redis is away, calls about channels that are remembered succeed and the
 * others throw BACKCAST_REDIS_UNREACHABLE within 3 s.
 */
export async function openRedisRegistry(options: RedisRegistryOptions): Promise<Registry> {
  const pool = parsePool(options.pool ?? POOL_DEFAULT);
  const onInvalid = options.onInvalid ?? (() => undefined);
  const cache = await AddressCache.open({ path: options.cachePath, pool, onInvalid });
  const connection = new RedisConnection(options.url, options.onReachability ?? (() => undefined));
  return new RedisRegistry(connection, cache, { ...options, parsedPool: pool, onInvalid });
}

interface CheckedOptions extends RegistryOptions {
  readonly prefix?: string;
  readonly settleMs?: number;
  readonly parsedPool: AddressPool;
  readonly onInvalid: (entry: InvalidEntry) => void;
}

class RedisRegistry implements Registry {
  readonly #connection: RedisConnection;
  readonly #cache: AddressCache;
  readonly #pool: AddressPool;
  readonly #prefix: string;
  readonly #leaseMs: number;
  readonly #settleMs: number;
  readonly #onInvalid: (entry: InvalidEntry) => void;
  /**
   * Addresses that `resolve` has given out in this process: they do not change under who uses them.
   */
  readonly #inUse = new Map<string, ChannelAddress>();
  readonly #options: RegistryOptions;
  readonly #announced = new Map<string, SessionAnnouncement>();
  readonly #joined = new Map<string, ChannelMember>();
  /** Channels written back that no reconciliation has told of yet. */
  #restored: string[] = [];

  constructor(connection: RedisConnection, cache: AddressCache, options: CheckedOptions) {
    this.#connection = connection;
    this.#cache = cache;
    this.#options = options;
    this.#pool = options.parsedPool;
    this.#prefix = options.prefix ?? REDIS_PREFIX_DEFAULT;
    this.#leaseMs = options.leaseMs ?? SESSION_LEASE_MS_DEFAULT;
    this.#settleMs = options.settleMs ?? SETTLE_MS_DEFAULT;
    this.#onInvalid = options.onInvalid;
  }

  async resolve(channel: string, options: ResolveOptions = {}): Promise<ChannelAddress> {
    requireChannelName(channel);
    const address =
      this.#inUse.get(channel) ??
      (await this.#orRemembered(channel, () => this.#allocate(channel, options)));
    if (address === undefined) throw poolExhausted(this.#pool, channel);
    requireProperties(channel, address, options);
    this.#inUse.set(channel, address);
    return address;
  }

  async lookup(channel: string): Promise<ChannelAddress | undefined> {
    requireChannelName(channel);
    return await this.#orRemembered(channel, async () => {
      const text = await this.#eval(LOOKUP, this.#channelsKey, channel);
      return typeof text === 'string' ? await this.#believe(channel, text) : undefined;
    });
  }

  async list(): Promise<ReadonlyMap<string, ChannelAddress>> {
    try {
      const channels = await this.#listed();
      if (!this.#isMissingIn(channels)) return channels;
      await this.#restore();
      return await this.#listed();
    } catch (error) {
      if (this.#cache.size === 0 || !isAboutTheStore(error)) throw error;
      this.#tellNonsense(error);
      return this.#cache.all();
    }
  }

  async announce(session: SessionAnnouncement): Promise<void> {
    requireChannelName(session.channel);
    this.#announced.set(leaseKey(session.channel, session.session), session);
    await whileAway(this.#lease(leasedSession(session)));
  }

  async withdraw(channel: string, session: SessionId): Promise<void> {
    requireChannelName(channel);
    this.#announced.delete(leaseKey(channel, session));
    const key = this.#leasesKey('sessions', channel);
    await whileAway(this.#connection.run((redis) => redis.hdel(key, session)));
  }

  async sessions(channel: string): Promise<readonly SessionAnnouncement[]> {
    requireChannelName(channel);
    const found: SessionAnnouncement[] = [];
    for (const { value } of await this.#leased('sessions', channel)) {
      const checked = checkAnnouncement(value, channel);
      if (checked.ok) found.push(checked.value);
      else this.#onInvalid({ channel, problem: checked.problem });
    }
    return found.toSorted((left, right) => left.startedAtUs - right.startedAtUs);
  }

  async join(member: ChannelMember): Promise<void> {
    const { channel, id } = member;
    requireChannelName(channel);
    await whileAway(this.#requireRoom(member));
    this.#joined.set(leaseKey(channel, id), member);
    await whileAway(this.#lease(leasedMember(member)));
  }

  async leave(channel: string, id: string): Promise<void> {
    requireChannelName(channel);
    const key = leaseKey(channel, id);
    const member = this.#joined.get(key);
    if (member === undefined) return;
    this.#joined.delete(key);
    const left = { ...member, leftAtUs: Date.now() * 1_000 };
    await whileAway(this.#lease(leasedMember(left), 'news'));
  }

  watchMembers(channel: string, onChange: () => void): Disposable {
    requireChannelName(channel);
    return this.#connection.listen(this.#leasesKey('members', channel), onChange);
  }

  async members(channel: string): Promise<readonly MemberLease[]> {
    requireChannelName(channel);
    const found: MemberLease[] = [];
    for (const { value, remainingMs } of await this.#leased('members', channel)) {
      const checked = checkMember(value, channel);
      if (checked.ok) found.push({ member: checked.value, remainingMs });
      else this.#onInvalid({ channel, problem: checked.problem });
    }
    return found.toSorted(byAge);
  }

  async reconcile(): Promise<Reconciliation> {
    const [announced, joined] = [[...this.#announced.values()], [...this.#joined.values()]];
    const done = { renewedSessionCount: 0, renewedMemberCount: 0 };
    try {
      for (const session of announced) await this.#lease(leasedSession(session));
      done.renewedSessionCount = announced.length;
      for (const member of joined) await this.#lease(leasedMember(member));
      done.renewedMemberCount = joined.length;
      const conflicts = await this.#restore();
      const restoredChannels = this.#restored;
      this.#restored = [];
      return { ...done, restoredChannels, conflicts };
    } catch (error) {
      if (!isAboutTheStore(error)) throw error;
      this.#tellNonsense(error);
      return { ...done, restoredChannels: [], conflicts: [] };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
    await this.#cache[Symbol.asyncDispose]();
  }

  get #channelsKey(): string {
    return `${this.#prefix}channels`;
  }

  #leasesKey(kind: LeaseKind, channel: string): string {
    return `${this.#prefix}${kind}:${channel}`;
  }

  async #allocate(channel: string, options: ResolveOptions): Promise<ChannelAddress | undefined> {
    const known = await this.lookup(channel);
    if (known !== undefined) return known;
    await this.#settle();
    const pool = this.#pool;
    const properties = newProperties(channel, options, this.#options);
    const [outcome, text = ''] = await this.#evalTexts(
      RESOLVE,
      this.#channelsKey,
      channel,
      formatProperties(properties),
      pool.dport,
      preferredSlot(pool, this.#prefix + channel),
      pool.slotCount,
      pool.portFirst,
      ...pool.groupRanges.flatMap(({ first, last, prefix, zero }) => [first, last, prefix, zero]),
    );
    if (outcome === 'exhausted' || outcome === 'overfull') return undefined;
    return await this.#believe(channel, text);
  }

  /**
   * A Redis without channels may be one that has lost them: whoever uses one puts it back first,
   * and nobody else is given its address meanwhile.
   */
  async #settle(): Promise<void> {
    await this.#restore();
    const count = await this.#connection.run((redis) => redis.hlen(this.#channelsKey));
    if (count === 0) await delay(this.#settleMs);
  }

  async #listed(): Promise<Map<string, ChannelAddress>> {
    const channels = this.#usable(await this.#evalTexts(LIST, this.#channelsKey));
    await this.#cache.put(channels);
    return channels;
  }

  #isMissingIn(channels: ReadonlyMap<string, ChannelAddress>): boolean {
    return [...this.#cache.all().keys(), ...this.#inUse.keys()].some((name) => !channels.has(name));
  }

  async #lease({ kind, channel, name, value }: Leased, news: 'news' | '' = ''): Promise<void> {
    const isRoom = await this.#eval(
      LEASE,
      this.#leasesKey(kind, channel),
      name,
      JSON.stringify(value),
      this.#leaseMs,
      LEASES_MAX[kind],
      news,
    );
    if (isRoom === 1) return;
    throw invalidEntry(channel, tooManyLeases(kind), this.#connection.where);
  }

  /** The entries of `channel` whose lease stands, unchecked. */
  async #leased(kind: LeaseKind, channel: string): Promise<LeasedText[]> {
    const asked = this.#leasesKey(kind, channel);
    return parseLeased(await this.#evalTexts(LEASED, asked, LEASES_MAX[kind]));
  }

  async #requireRoom(member: ChannelMember): Promise<void> {
    const membersMax = this.#options.membersMax ?? FANOUT_MEMBERS_DEFAULT_MAX;
    requireRoom(member, await this.members(member.channel), membersMax);
  }

  /**
   * Writes back the channels that Redis does not have. Answers those in use here that it has
   * elsewhere.
   */
  async #restore(): Promise<readonly InvalidEntry[]> {
    const conflicts: InvalidEntry[] = [];
    const known = new Map([...this.#cache.all(), ...this.#inUse]);
    if (known.size === 0) return conflicts;
    const words = [...known].flatMap(([name, address]) => [name, formatAddress(address)]);
    const answer = await this.#evalTexts(RESTORE, this.#channelsKey, ...words);
    for (let index = 0; index + 2 < answer.length; index += 3) {
      const [channel, outcome, text] = answer.slice(index, index + 3);
      if (outcome === 'restored') this.#restored.push(channel);
      else if (this.#inUse.has(channel))
        conflicts.push({ channel, problem: conflictText(outcome, text) });
    }
    return conflicts;
  }

  #tellNonsense(error: BackcastError, channel = ''): void {
    if (error.code === 'BACKCAST_REGISTRY_INVALID')
      this.#onInvalid({ channel, problem: error.message });
  }

  /**
   * What `ask` answers; while Redis is away or answers nonsense, the address that is remembered.
   */
  async #orRemembered(
    channel: string,
    ask: () => Promise<ChannelAddress | undefined>,
  ): Promise<ChannelAddress | undefined> {
    try {
      return await ask();
    } catch (error) {
      const remembered = this.#cache.get(channel);
      if (remembered === undefined || !isAboutTheStore(error)) throw error;
      this.#tellNonsense(error, channel);
      return remembered;
    }
  }

  async #believe(channel: string, text: string): Promise<ChannelAddress> {
    const checked = checkAddress(parseAddressText(text), this.#pool);
    if (!checked.ok) throw invalidEntry(channel, checked.problem, this.#connection.where);
    await this.#cache.put(new Map([[channel, checked.value]]));
    return checked.value;
  }

  #usable(texts: readonly string[]): Map<string, ChannelAddress> {
    const channels = new Map<string, ChannelAddress>();
    for (let index = 0; index + 1 < texts.length; index += 2) {
      const [channel, text] = [texts[index], texts[index + 1]];
      const checked = checkAddress(parseAddressText(text), this.#pool);
      if (!isChannelName(channel))
        this.#onInvalid({ channel, problem: 'the name cannot name a channel' });
      else if (!checked.ok) this.#onInvalid({ channel, problem: checked.problem });
      const address = checked.ok ? checked.value : this.#cache.get(channel);
      if (isChannelName(channel) && address !== undefined) channels.set(channel, address);
    }
    return channels;
  }

  async #eval(script: string, key: string, ...words: (string | number)[]): Promise<unknown> {
    return await this.#connection.run((redis) => redis.eval(script, 1, key, ...words));
  }

  async #evalTexts(script: string, key: string, ...words: (string | number)[]): Promise<string[]> {
    const answer = await this.#eval(script, key, ...words);
    return Array.isArray(answer) ? answer.map(String) : [];
  }
}
