// The registry of one host: a JSON file that the processes of the host share. Good for the embedded
// default and for a single machine; several machines need the Redis registry, as each of them would
// otherwise hand out addresses of its own. Entries that cannot be used are skipped and left as they
// are.

import {
  type ChannelAddress,
  FANOUT_MEMBERS_DEFAULT_MAX,
  REGISTRY_CHANNELS_MAX,
  requireChannelName,
  SESSION_LEASE_MS_DEFAULT,
  type SessionId,
} from '#base/mod.ts';
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
  leaseKey,
  LEASES_MAX,
  tooManyLeases,
} from './leases.ts';
import { readTextFile, updateTextFile } from './locked-file.ts';
import { byAge, requireRoom } from '#registry/directory/mod.ts';
import { allocate, parsePool, POOL_DEFAULT, poolExhausted, type AddressPool } from './pool.ts';
import {
  parseDocument,
  serializeDocument,
  takenAddresses,
  usableChannels,
  type LeaseBook,
  type LeaseEntry,
  type RegistryDocument,
} from './registry-document.ts';
import type {
  ChannelMember,
  MemberLease,
  Reconciliation,
  Registry,
  RegistryOptions,
  ResolveOptions,
  SessionAnnouncement,
} from '#registry/directory/mod.ts';

/** What a file registry is told. */
export interface FileRegistryOptions extends RegistryOptions {
  /** The file, made when the first channel is resolved. */
  readonly path: string;
  /** Milliseconds since 1970, by which leases run out; the system clock by default. */
  readonly wallClockMs?: () => number;
}

/**
 * Opens the registry in the file `options.path`. Throws BACKCAST_CONFIG_INVALID for a wrong pool.
 */
export function openFileRegistry(options: FileRegistryOptions): Registry {
  return new FileRegistry(options);
}

class FileRegistry implements Registry {
  readonly #path: string;
  readonly #pool: AddressPool;
  readonly #leaseMs: number;
  readonly #wallClockMs: () => number;
  readonly #onInvalid: NonNullable<RegistryOptions['onInvalid']>;
  readonly #options: RegistryOptions;
  readonly #announced = new Map<string, SessionAnnouncement>();
  readonly #joined = new Map<string, ChannelMember>();
  #lastUpdate: Promise<unknown> = Promise.resolve();

  constructor(options: FileRegistryOptions) {
    this.#options = options;
    this.#path = options.path;
    this.#pool = parsePool(options.pool ?? POOL_DEFAULT);
    this.#leaseMs = options.leaseMs ?? SESSION_LEASE_MS_DEFAULT;
    this.#wallClockMs = options.wallClockMs ?? Date.now;
    this.#onInvalid = options.onInvalid ?? (() => undefined);
  }

  async resolve(channel: string, options: ResolveOptions = {}): Promise<ChannelAddress> {
    const known =
      (await this.lookup(channel)) ??
      (await this.#update((document) => this.#allocate(document, channel, options)));
    return requireProperties(channel, known, options);
  }

  async lookup(channel: string): Promise<ChannelAddress | undefined> {
    requireChannelName(channel);
    return this.#known(await this.#read(), channel);
  }

  async list(): Promise<ReadonlyMap<string, ChannelAddress>> {
    return usableChannels(await this.#read(), this.#pool, this.#onInvalid);
  }

  async announce(session: SessionAnnouncement): Promise<void> {
    requireChannelName(session.channel);
    await this.#update((document) => this.#lease(document, leasedSession(session)));
    this.#announced.set(leaseKey(session.channel, session.session), session);
  }

  async withdraw(channel: string, session: SessionId): Promise<void> {
    requireChannelName(channel);
    this.#announced.delete(leaseKey(channel, session));
    await this.#update(({ sessions }) => {
      sessions.get(channel)?.delete(session);
      if (sessions.get(channel)?.size === 0) sessions.delete(channel);
    });
  }

  async sessions(channel: string): Promise<readonly SessionAnnouncement[]> {
    requireChannelName(channel);
    const { sessions } = await this.#read();
    const found: SessionAnnouncement[] = [];
    for (const { entry } of this.#standing(sessions, channel)) {
      const checked = checkAnnouncement(entry, channel);
      if (checked.ok) found.push(checked.value);
      else this.#onInvalid({ channel, problem: checked.problem });
    }
    return found.toSorted((left, right) => left.startedAtUs - right.startedAtUs);
  }

  async join(member: ChannelMember): Promise<void> {
    const { channel, id } = member;
    requireRoom(member, await this.members(channel), this.#membersMax);
    await this.#update((document) => this.#lease(document, leasedMember(member)));
    this.#joined.set(leaseKey(channel, id), member);
  }

  async leave(channel: string, id: string): Promise<void> {
    requireChannelName(channel);
    const key = leaseKey(channel, id);
    const member = this.#joined.get(key);
    if (member === undefined) return;
    this.#joined.delete(key);
    const left = { ...member, leftAtUs: this.#wallClockMs() * 1_000 };
    await this.#update((document) => this.#lease(document, leasedMember(left)));
  }

  async members(channel: string): Promise<readonly MemberLease[]> {
    requireChannelName(channel);
    const { members } = await this.#read();
    const found: MemberLease[] = [];
    for (const { entry, remainingMs } of this.#standing(members, channel)) {
      const checked = checkMember(entry, channel);
      if (checked.ok) found.push({ member: checked.value, remainingMs });
      else this.#onInvalid({ channel, problem: checked.problem });
    }
    return found.toSorted(byAge);
  }

  async reconcile(): Promise<Reconciliation> {
    const announced = [...this.#announced.values()].map(leasedSession);
    const joined = [...this.#joined.values()].map(leasedMember);
    if (announced.length + joined.length > 0)
      await this.#update((document) => {
        for (const leased of [...announced, ...joined]) this.#lease(document, leased);
      });
    return {
      restoredChannels: [],
      conflicts: [],
      renewedSessionCount: announced.length,
      renewedMemberCount: joined.length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastUpdate.catch(() => undefined);
  }

  get #membersMax(): number {
    return this.#options.membersMax ?? FANOUT_MEMBERS_DEFAULT_MAX;
  }

  async #read(): Promise<RegistryDocument> {
    return parseDocument(await readTextFile(this.#path), this.#path);
  }

  #known(document: RegistryDocument, channel: string): ChannelAddress | undefined {
    const entry = document.channels.get(channel);
    if (entry === undefined) return undefined;
    const checked = checkAddress(entry, this.#pool);
    if (!checked.ok) throw invalidEntry(channel, checked.problem, this.#path);
    return checked.value;
  }

  #allocate(document: RegistryDocument, channel: string, options: ResolveOptions): ChannelAddress {
    const known = this.#known(document, channel);
    if (known !== undefined) return known;
    if (document.channels.size >= REGISTRY_CHANNELS_MAX) throw poolExhausted(this.#pool, channel);
    const properties = newProperties(channel, options, this.#options);
    const request = { name: channel, ...properties };
    const address = allocate(this.#pool, request, takenAddresses(document));
    if (address === undefined) throw poolExhausted(this.#pool, channel);
    document.channels.set(channel, address);
    return address;
  }

  /** The entries of `channel` whose lease stands. */
  *#standing(
    book: LeaseBook,
    channel: string,
  ): Generator<{ readonly entry: LeaseEntry; readonly remainingMs: number }> {
    const nowMs = this.#wallClockMs();
    for (const entry of book.get(channel)?.values() ?? [])
      if (entry.expiresAtMs > nowMs) yield { entry, remainingMs: entry.expiresAtMs - nowMs };
  }

  #lease(document: RegistryDocument, { kind, channel, name, value }: Leased): void {
    const nowMs = this.#wallClockMs();
    const book = document[kind];
    const leases = book.get(channel) ?? new Map<string, LeaseEntry>();
    book.set(channel, leases);
    for (const [id, { expiresAtMs }] of leases) if (expiresAtMs <= nowMs) leases.delete(id);
    if (leases.size >= LEASES_MAX[kind] && !leases.has(name))
      throw invalidEntry(channel, tooManyLeases(kind), this.#path);
    leases.set(name, { ...value, expiresAtMs: nowMs + this.#leaseMs });
  }

  /** One change at a time per process; the lock file takes care of the other processes. */
  async #update<Result>(change: (document: RegistryDocument) => Result): Promise<Result> {
    const update = this.#lastUpdate
      .catch(() => undefined)
      .then(() =>
        updateTextFile(this.#path, (text) => {
          const document = parseDocument(text, this.#path);
          const result = change(document);
          const changed = serializeDocument(document);
          return { text: changed === text ? undefined : changed, result };
        }),
      );
    this.#lastUpdate = update;
    return await update;
  }
}
