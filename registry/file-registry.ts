// The registry of one host: a JSON file that the processes of the host share. Good for the embedded
// default and for a single machine; several machines need the Redis registry, as each of them would
// otherwise hand out addresses of its own. Entries that cannot be used are skipped and left as they
// are.

import type { ChannelAddress, Framing, SessionId } from '#base/mod.ts';
import {
  BackcastError,
  REGISTRY_CHANNELS_MAX,
  REGISTRY_SESSIONS_MAX,
  SESSION_LEASE_MS_DEFAULT,
} from '#base/mod.ts';
import {
  announcementKey,
  checkAddress,
  checkAnnouncement,
  invalidEntry,
  requireChannelName,
  requireFraming,
} from './answers.ts';
import { readTextFile, updateTextFile } from './locked-file.ts';
import { allocate, parsePool, POOL_DEFAULT, poolExhausted, type AddressPool } from './pool.ts';
import {
  parseDocument,
  serializeDocument,
  takenAddresses,
  usableChannels,
  type RegistryDocument,
} from './registry-document.ts';
import type { Reconciliation, Registry, RegistryOptions, SessionAnnouncement } from './types.ts';

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
  readonly #announced = new Map<string, SessionAnnouncement>();
  #lastUpdate: Promise<unknown> = Promise.resolve();

  constructor(options: FileRegistryOptions) {
    this.#path = options.path;
    this.#pool = parsePool(options.pool ?? POOL_DEFAULT);
    this.#leaseMs = options.leaseMs ?? SESSION_LEASE_MS_DEFAULT;
    this.#wallClockMs = options.wallClockMs ?? Date.now;
    this.#onInvalid = options.onInvalid ?? (() => undefined);
  }

  async resolve(
    channel: string,
    options: { readonly framing?: Framing } = {},
  ): Promise<ChannelAddress> {
    const known =
      (await this.lookup(channel)) ??
      (await this.#update((document) =>
        this.#allocate(document, channel, options.framing ?? 'native'),
      ));
    return requireFraming(channel, known, options.framing);
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
    await this.#update((document) => this.#lease(document, session));
    this.#announced.set(announcementKey(session), session);
  }

  async withdraw(channel: string, session: SessionId): Promise<void> {
    requireChannelName(channel);
    this.#announced.delete(announcementKey({ channel, session }));
    await this.#update(({ sessions }) => {
      sessions.get(channel)?.delete(session);
      if (sessions.get(channel)?.size === 0) sessions.delete(channel);
    });
  }

  async sessions(channel: string): Promise<readonly SessionAnnouncement[]> {
    requireChannelName(channel);
    const found: SessionAnnouncement[] = [];
    for (const entry of (await this.#read()).sessions.get(channel)?.values() ?? []) {
      if (entry.expiresAtMs <= this.#wallClockMs()) continue;
      const checked = checkAnnouncement(entry, channel);
      if (checked.ok) found.push(checked.value);
      else this.#onInvalid({ channel, problem: checked.problem });
    }
    return found.toSorted((left, right) => left.startedAtUs - right.startedAtUs);
  }

  async reconcile(): Promise<Reconciliation> {
    const announced = [...this.#announced.values()];
    if (announced.length > 0)
      await this.#update((document) => {
        for (const session of announced) this.#lease(document, session);
      });
    return { restoredChannels: [], conflicts: [], renewedSessionCount: announced.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastUpdate.catch(() => undefined);
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

  #allocate(document: RegistryDocument, channel: string, framing: Framing): ChannelAddress {
    const known = this.#known(document, channel);
    if (known !== undefined) return known;
    if (document.channels.size >= REGISTRY_CHANNELS_MAX) throw poolExhausted(this.#pool, channel);
    const request = { name: channel, framing };
    const address = allocate(this.#pool, request, takenAddresses(document));
    if (address === undefined) throw poolExhausted(this.#pool, channel);
    document.channels.set(channel, address);
    return address;
  }

  #lease(document: RegistryDocument, session: SessionAnnouncement): void {
    const nowMs = this.#wallClockMs();
    const leases = document.sessions.get(session.channel) ?? new Map();
    document.sessions.set(session.channel, leases);
    for (const [id, { expiresAtMs }] of leases) if (expiresAtMs <= nowMs) leases.delete(id);
    if (leases.size >= REGISTRY_SESSIONS_MAX && !leases.has(session.session))
      throw new BackcastError(
        'BACKCAST_REGISTRY_INVALID',
        `channel "${session.channel}" has ${leases.size} sessions announced, as many as may be; ` +
          'look for a publisher that restarts without end',
      );
    leases.set(session.session, { ...session, expiresAtMs: nowMs + this.#leaseMs });
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
