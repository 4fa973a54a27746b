// Checks of what a store answers. A registry can be edited by hand, half-written or poisoned, and
// what it says decides where packets go: so nothing it holds is believed before it has passed here.
// Pure.

import {
  BackcastError,
  dportOf,
  isChannelName,
  isIpv4,
  isMulticastGroup,
  isPort,
  isSessionId,
  SOURCE_NAME_BYTES_MAX,
  type ChannelAddress,
  type Framing,
} from '#base/mod.ts';
import { poolHolds, type AddressPool } from './pool.ts';
import type { SessionAnnouncement } from './types.ts';

/** Bytes of one stored address or announcement; real ones are far below. */
export const ENTRY_BYTES_MAX = 2_048;

const HOST_CHARACTERS_MAX = 255;
/** 239.192.0.01 and 239.192.0.1 are one group but two texts, and groups are compared as texts. */
const LEADING_ZERO = /(^|\.)0\d/;
const FRAMINGS: readonly string[] = ['native', 'raw', 'zmq'] satisfies Framing[];

/** A checked value, or why there is none. */
export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** Throws BACKCAST_CHANNEL_NAME unless `channel` can name a channel. */
export function requireChannelName(channel: string): void {
  if (isChannelName(channel)) return;
  const shown = channel.length > 64 ? `${channel.slice(0, 64)}…` : channel;
  throw new BackcastError(
    'BACKCAST_CHANNEL_NAME',
    `${JSON.stringify(shown)} cannot name a channel: use 1 to 128 of A-Z a-z 0-9 . _ -`,
  );
}

/** Whether `value` is a channel address inside `pool`. */
export function checkAddress(value: unknown, pool: AddressPool): Checked<ChannelAddress> {
  if (!isObject(value)) return refuse('the entry is not an address');
  const { group, port, dport, framing } = value;
  if (typeof group !== 'string' || !isMulticastGroup(group) || LEADING_ZERO.test(group))
    return refuse(`group ${show(group)} is not an IPv4 multicast group`);
  if (typeof port !== 'number' || !isPort(port))
    return refuse(`port ${show(port)} is not a port from 1 to 65535`);
  if (typeof dport !== 'number' || !isPort(dport))
    return refuse(`dport ${show(dport)} is not a port from 1 to 65535`);
  if (!isFraming(framing)) return refuse(`framing ${show(framing)} is not native, raw or zmq`);
  if (dport !== dportOf(framing, port, dport))
    return refuse(`dport ${dport} of a channel of framing zmq is not its port, ${port}`);
  const address = { group, port, dport, framing };
  if (!poolHolds(pool, address))
    return refuse(
      `${group}:${port} lies outside the allowed pool; widen registry.pool or remove the entry`,
    );
  return { ok: true, value: address };
}

/** Whether `value` is an announcement on `channel`. */
export function checkAnnouncement(value: unknown, channel: string): Checked<SessionAnnouncement> {
  if (!isObject(value)) return refuse('the announcement is not an object');
  const { session, source, host, address, startedAtUs } = value;
  if (typeof session !== 'string' || !isSessionId(session))
    return refuse(`session ${show(session)} is not 16 hex digits of 63 bits`);
  if (typeof source !== 'string' || new TextEncoder().encode(source).length > SOURCE_NAME_BYTES_MAX)
    return refuse(`source ${show(source)} is not a name of at most ${SOURCE_NAME_BYTES_MAX} bytes`);
  if (typeof host !== 'string' || host.length > HOST_CHARACTERS_MAX)
    return refuse(`host ${show(host)} is not a host name`);
  if (typeof address !== 'string' || !isIpv4(address))
    return refuse(`address ${show(address)} is not an IPv4 address`);
  if (typeof startedAtUs !== 'number' || !Number.isSafeInteger(startedAtUs) || startedAtUs < 0)
    return refuse(`startedAtUs ${show(startedAtUs)} is not a number of microseconds`);
  return { ok: true, value: { channel, session, source, host, address, startedAtUs } };
}

/** Throws BACKCAST_REGISTRY_INVALID if the channel has another framing than the caller needs. */
export function requireFraming(
  channel: string,
  address: ChannelAddress,
  framing: Framing | undefined,
): ChannelAddress {
  if (framing === undefined || framing === address.framing) return address;
  throw new BackcastError(
    'BACKCAST_REGISTRY_INVALID',
    `channel "${channel}" is registered with framing ${address.framing}, not ${framing}; ` +
      'use its framing or another channel name',
  );
}

/** The error for an entry that a caller asked for by name and that cannot be used. */
export function invalidEntry(channel: string, problem: string, where: string): BackcastError {
  return new BackcastError(
    'BACKCAST_REGISTRY_INVALID',
    `the registry (${where}) cannot be used for channel "${channel}": ${problem}`,
  );
}

/** What tells one announcement from another. */
export function announcementKey(
  announcement: Pick<SessionAnnouncement, 'channel' | 'session'>,
): string {
  return `${announcement.channel} ${announcement.session}`;
}

/** Whether `value` is an object with named members. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFraming(value: unknown): value is Framing {
  return typeof value === 'string' && FRAMINGS.includes(value);
}

function refuse(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
