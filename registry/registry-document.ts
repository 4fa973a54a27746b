// The text of a registry file and of the file in which the Redis registry remembers answers: JSON
// with the channels and, for the file registry, the leases of sessions. Entries are kept as they
// were found, also those that cannot be used, so that rewriting the file never loses what somebody
// wrote into it. Maps rather than objects inside, because `__proto__` is a fine name for a channel.
// Pure.

import { BackcastError, isChannelName, type ChannelAddress } from '#base/mod.ts';
import { checkAddress, isObject } from './answers.ts';
import type { AddressPool } from './pool.ts';
import type { InvalidEntry } from './types.ts';

/**
 * One lease as it stands in the file: an announcement, unchecked, and the instant at which it ends.
 */
export interface LeaseEntry {
  readonly expiresAtMs: number;
  readonly [name: string]: unknown;
}

/** What stands in the file. */
export interface RegistryDocument {
  readonly channels: Map<string, unknown>;
  readonly sessions: Map<string, Map<string, LeaseEntry>>;
}

/** The document that `text` is; an empty one for undefined. Throws BACKCAST_REGISTRY_INVALID. */
export function parseDocument(text: string | undefined, path: string): RegistryDocument {
  if (text === undefined) return { channels: new Map(), sessions: new Map() };
  const json = parseJson(text, path);
  if (!isObject(json) || json['version'] !== 1)
    throw invalidFile(path, 'it is not a registry of version 1');
  return {
    channels: new Map(Object.entries(isObject(json['channels']) ? json['channels'] : {})),
    sessions: parseSessions(json['sessions']),
  };
}

/** The text of `document`, channels in the order of their names. */
export function serializeDocument({ channels, sessions }: RegistryDocument): string {
  const leases = [...sessions].map(
    ([name, ofChannel]) => [name, Object.fromEntries(ofChannel)] as const,
  );
  const json = {
    version: 1,
    channels: Object.fromEntries([...channels].toSorted(byName)),
    sessions: Object.fromEntries(leases.toSorted(byName)),
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

function parseSessions(json: unknown): Map<string, Map<string, LeaseEntry>> {
  const sessions = new Map<string, Map<string, LeaseEntry>>();
  for (const [channel, leases] of Object.entries(isObject(json) ? json : {})) {
    const ofChannel = new Map<string, LeaseEntry>();
    for (const [session, lease] of Object.entries(isObject(leases) ? leases : {}))
      if (isLease(lease)) ofChannel.set(session, lease);
    sessions.set(channel, ofChannel);
  }
  return sessions;
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
