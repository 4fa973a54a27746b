// The text of a registry file and of the file in which the Redis registry remembers answers: JSON
// with the channels and, for the file registry, the leases of sessions. Entries are kept as they
// were found, also those that cannot be used, so that rewriting the file never loses what somebody
// wrote into it. Maps rather than objects inside, because `__proto__` is a fine name for a channel.
// Pure.

import { BackcastError, isChannelName, type ChannelAddress } from '#base/mod.ts';
import { checkAddress, isObject } from './answers.ts';
import type { LeaseKind } from './leases.ts';
import type { AddressPool } from './pool.ts';
import type { InvalidEntry } from '#registry/directory/mod.ts';

/**
 * One lease as it stands in the file: a session or a member, unchecked, and the instant at which it
 * ends.
 */
export interface LeaseEntry {
  readonly expiresAtMs: number;
  readonly [name: string]: unknown;
}

/** Leases by channel and name. */
export type LeaseBook = Map<string, Map<string, LeaseEntry>>;

/** What stands in the file. */
export interface RegistryDocument extends Readonly<Record<LeaseKind, LeaseBook>> {
  readonly channels: Map<string, unknown>;
}

/** The document that `text` is; an empty one for undefined. Throws BACKCAST_REGISTRY_INVALID. */
export function parseDocument(text: string | undefined, path: string): RegistryDocument {
  if (text === undefined) return { channels: new Map(), sessions: new Map(), members: new Map() };
  const json = parseJson(text, path);
  if (!isObject(json) || json['version'] !== 1)
    throw invalidFile(path, 'it is not a registry of version 1');
  return {
    channels: new Map(Object.entries(isObject(json['channels']) ? json['channels'] : {})),
    sessions: parseLeases(json['sessions']),
    members: parseLeases(json['members']),
  };
}

/** The text of `document`, channels in the order of their names. */
export function serializeDocument({ channels, sessions, members }: RegistryDocument): string {
  const json = {
    version: 1,
    channels: Object.fromEntries([...channels].toSorted(byName)),
    sessions: serializeLeases(sessions),
    members: serializeLeases(members),
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

/** The channels of `document` that can be used; the others go to `onInvalid`. */
export function usableChannels(
  document: RegistryDocument,
  pool: AddressPool,
  onInvalid: (entry: InvalidEntry) => void,
): Map<string, ChannelAddress> {
  const usable = new Map<string, ChannelAddress>();
  for (const [channel, entry] of document.channels) {
    const checked = checkAddress(entry, pool);
    if (!isChannelName(channel)) onInvalid({ channel, problem: 'the name cannot name a channel' });
    else if (checked.ok) usable.set(channel, checked.value);
    else onInvalid({ channel, problem: checked.problem });
  }
  return usable;
}

/** Group and port of every entry, usable or not: what a new channel must stay away from. */
export function* takenAddresses(
  document: RegistryDocument,
): Generator<{ readonly group: unknown; readonly port: unknown }> {
  for (const entry of document.channels.values())
    if (isObject(entry)) yield { group: entry['group'], port: entry['port'] };
}

function byName(left: readonly [string, unknown], right: readonly [string, unknown]): number {
  return left[0] < right[0] ? -1 : 1;
}

function parseLeases(json: unknown): LeaseBook {
  const book: LeaseBook = new Map();
  for (const [channel, leases] of Object.entries(isObject(json) ? json : {})) {
    const ofChannel = new Map<string, LeaseEntry>();
    for (const [name, lease] of Object.entries(isObject(leases) ? leases : {}))
      if (isLease(lease)) ofChannel.set(name, lease);
    book.set(channel, ofChannel);
  }
  return book;
}

function serializeLeases(book: LeaseBook): object {
  const leases = [...book].map(
    ([channel, ofChannel]) => [channel, Object.fromEntries(ofChannel)] as const,
  );
  return Object.fromEntries(leases.toSorted(byName));
}

function isLease(lease: unknown): lease is LeaseEntry {
  return isObject(lease) && typeof lease['expiresAtMs'] === 'number';
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidFile(path, 'it is not JSON', cause);
  }
}

function invalidFile(path: string, problem: string, cause?: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_REGISTRY_INVALID',
    `${path} cannot be read as a registry: ${problem}; restore it from a copy, or move it away ` +
      'to let every channel be given an address anew',
    { cause },
  );
}
