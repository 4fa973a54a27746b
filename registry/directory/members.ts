// The members of a channel as those who use them need them: a receiver joins for as long as it
// listens, a publisher has a list that follows the registry. The list is asked for again and again
// and survives what the registry does not: while that is away nobody is dropped, and one that it
// has lost is kept until its lease would have ended.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  BackcastError,
  FANOUT_MEMBERS_DEFAULT_MAX,
  type MemberAddress,
  type MemberSource,
  SESSION_LEASE_MS_DEFAULT,
} from '#base/mod.ts';
import type { ChannelMember, MemberLease, Registry } from './types.ts';

/** How often the registry is asked who is there. */
const REFRESH_MS_DEFAULT = 1_000;
/** The same while nobody is there: whoever opens first waits for the first to listen. */
const REFRESH_EMPTY_MS = 200;

/** How a list of members is kept. */
export interface RegistryMembersOptions {
  /** Members that are sent to; those that joined last are left out. */
  readonly membersMax?: number;
  /** Milliseconds between two looks into the registry. */
  readonly refreshMs?: number;
  /** How long members have to join again after the registry was away or has lost them. */
  readonly leaseMs?: number;
  /** Called with a sentence when the list cannot be refreshed, can be again, or is cut short. */
  readonly tell?: (sentence: string) => void;
}

/** Orders members by age, the longest there first. */
export function byAge(left: MemberLease, right: MemberLease): number {
  const laterUs = left.member.joinedAtUs - right.member.joinedAtUs;
  if (laterUs !== 0) return laterUs;
  return left.member.id < right.member.id ? -1 : 1;
}

/** Throws BACKCAST_CHANNEL_FULL if `member` would be one more than a channel may have. */
export function requireRoom(
  { channel, id }: ChannelMember,
  known: readonly MemberLease[],
  membersMax: number,
): void {
  const others = known.filter(
    ({ member }) => member.leftAtUs === undefined && member.id !== id,
  ).length;
  if (others < membersMax) return;
  throw new BackcastError(
    'BACKCAST_CHANNEL_FULL',
    `channel "${channel}" has ${others} members, as many as unicast.membersMax allows; raise it ` +
      'for publishers and receivers if their uplink carries so many copies',
  );
}

/**
 * Makes the receiver that listens at `at` a member of `channel`; disposing of the answer leaves.
 * Errors: those of Registry.join.
 */
export async function joinChannel(
  registry: Pick<Registry, 'join' | 'leave'>,
  channel: string,
  { address, port }: MemberAddress,
): Promise<AsyncDisposable> {
  const id = randomBytes(8).toString('hex');
  const joinedAtUs = Date.now() * 1_000;
  await registry.join({ channel, id, address, port, host: hostname(), joinedAtUs });
  return {
    [Symbol.asyncDispose]: () => registry.leave(channel, id).catch(() => undefined),
  };
}

interface Known {
  readonly member: ChannelMember;
  /** Until when it is kept if the registry says no more of it. */
  keptUntilMs: number;
}

/** Who is on a channel, by its registry. */
export class RegistryMembers implements MemberSource, AsyncDisposable {
  readonly #registry: Pick<Registry, 'members' | 'watchMembers'>;
  readonly #channel: string;
  readonly #options: RegistryMembersOptions;
  readonly #known = new Map<string, Known>();
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;
  #current: readonly MemberAddress[] = [];
  #refreshing: Promise<void> | undefined;
  readonly #news: Disposable | undefined;
  #isAway = false;
  #isCut = false;

  private constructor(
    registry: Pick<Registry, 'members' | 'watchMembers'>,
    channel: string,
    options: RegistryMembersOptions,
  ) {
    this.#registry = registry;
    this.#channel = channel;
    this.#options = options;
    this.#news = registry.watchMembers?.(channel, () => void this.#lookAgain());
  }

  /**
   * The members of `channel` by `registry`, kept up to date until disposed. Resolves when the
   * registry has been asked once; a registry that is away gives an empty list for now.
   */
  static async open(
    registry: Pick<Registry, 'members' | 'watchMembers'>,
    channel: string,
    options: RegistryMembersOptions = {},
  ): Promise<RegistryMembers> {
    const members = new RegistryMembers(registry, channel, options);
    await members.refresh();
    return members;
  }

  get current(): readonly MemberAddress[] {
    return this.#current;
  }

  watch(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Asks the registry now. Never rejects: what cannot be asked is told once. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
      this.#arm();
    });
    await this.#refreshing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#news?.[Symbol.dispose]();
    this.#listeners.clear();
    await this.#refreshing;
  }

  /** An answer that is on its way may be from before the change. */
  async #lookAgain(): Promise<void> {
    await this.#refreshing;
    if (!this.#isDisposed) await this.refresh();
  }

  #arm(): void {
    if (this.#isDisposed) return;
    const { refreshMs = REFRESH_MS_DEFAULT } = this.#options;
    const waitMs = this.#current.length > 0 ? refreshMs : Math.min(refreshMs, REFRESH_EMPTY_MS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), waitMs);
  }

  async #refresh(): Promise<void> {
    try {
      const leases = await this.#registry.members(this.#channel);
      this.#take(leases, performance.now());
      if (this.#isAway) this.#tell('are known again');
      this.#isAway = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isAway) this.#tell(`stay as they are for now: ${reason}`);
      this.#isAway = true;
    }
  }

  #take(leases: readonly MemberLease[], nowMs: number): void {
    if (this.#isAway) this.#forgiveSilence(nowMs);
    for (const { member, remainingMs } of leases) {
      if (member.leftAtUs === undefined)
        this.#known.set(member.id, { member, keptUntilMs: nowMs + remainingMs });
      else this.#known.delete(member.id);
    }
    for (const [id, { keptUntilMs }] of this.#known)
      if (keptUntilMs <= nowMs) this.#known.delete(id);
    this.#publish();
  }

  /** Who could not renew while the registry was away has the time of a lease to do it now. */
  #forgiveSilence(nowMs: number): void {
    const untilMs = nowMs + (this.#options.leaseMs ?? SESSION_LEASE_MS_DEFAULT);
    for (const known of this.#known.values())
      known.keptUntilMs = Math.max(known.keptUntilMs, untilMs);
  }

  #publish(): void {
    const { membersMax = FANOUT_MEMBERS_DEFAULT_MAX } = this.#options;
    const all = [...this.#known.values()].map(({ member }) => ({ member, remainingMs: 0 }));
    const places = new Map(
      all
        .toSorted(byAge)
        .map(({ member: { address, port } }) => [`${address}:${port}`, { address, port }]),
    );
    const next = [...places.values()].slice(0, membersMax);
    const isCut = places.size > membersMax;
    if (isCut && !this.#isCut)
      this.#tell(`are ${places.size}; the last of them get nothing (unicast.membersMax)`);
    this.#isCut = isCut;
    if (samePlaces(this.#current, next)) return;
    this.#current = next;
    for (const listener of this.#listeners) listener();
  }

  #tell(what: string): void {
    this.#options.tell?.(`members of channel "${this.#channel}" ${what}`);
  }
}

function samePlaces(left: readonly MemberAddress[], right: readonly MemberAddress[]): boolean {
  return (
    left.length === right.length &&
    left.every(({ address, port }, index) => {
      return address === right[index].address && port === right[index].port;
    })
  );
}
