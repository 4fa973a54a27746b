// The words that name a channel and where its packets go. The registry answers with these shapes,
// and whatever it answers is checked here like any other input.

import { BackcastError } from './errors.ts';
import { canonicalAddress, familyOf, isMulticastGroup } from './ip-address.ts';

/** The largest UDP or data-destination port. */
export const PORT_MAX = 65_535;

/** How the bytes of a packet are cut into messages: a property of the channel. */
export type Framing = 'native' | 'raw' | 'zmq';

/** Whether every packet of a channel must carry a tag made with a key of its members. */
export type Authentication = 'required' | 'off';

/**
 * How packets reach the receivers of a channel: once, to the group, or in a copy of its own to each
 * member that the registry names.
 */
export type Delivery = 'multicast' | 'unicast';

/**
 * Where a channel lives on the network. With `unicast` delivery nothing is sent to group and port;
 * they still tell the channel from others, in its packets and in the registry.
 */
export interface ChannelAddress {
  /** Multicast group: dotted IPv4, or IPv6 in its canonical text. */
  readonly group: string;
  /** UDP port, 1–65535. */
  readonly port: number;
  /**
   * PGM data-destination port: tells channels that share group and port apart, 1–65535. The UDP
   * port in the framing `zmq`.
   */
  readonly dport: number;
  readonly framing: Framing;
  /** `multicast` if not given. */
  readonly delivery?: Delivery;
  /** `off` if not given. */
  readonly authentication?: Authentication;
  /**
   * Addresses of the only hosts that are listened to, of the group's family and in canonical text;
   * without them, whoever sends to the group is heard.
   */
  readonly sources?: readonly string[];
}

/**
 * The data-destination port that a channel really has: ZeroMQ uses the UDP port for it, and no
 * other reaches a ZeroMQ socket.
 */
export function dportOf(framing: Framing, port: number, dport: number): number {
  return framing === 'zmq' ? port : dport;
}

/** PGM data-destination port of a channel for which nobody names one, and OpenPGM's. */
export const DPORT_DEFAULT = 7_500;

const NAME = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * Whether `text` can name a channel: 1 to 128 of A–Z a–z 0–9 . _ - but not `.` or `..`, which URLs
 * drop.
 */
export function isChannelName(text: string): boolean {
  return NAME.test(text) && text !== '.' && text !== '..';
}

/** `text` if it names a channel; BACKCAST_CHANNEL_NAME otherwise, also for what is no text. */
export function requireChannelName(text: unknown): string {
  if (typeof text === 'string' && isChannelName(text)) return text;
  const shown = String(text);
  throw new BackcastError(
    'BACKCAST_CHANNEL_NAME',
    `${JSON.stringify(shown.length > 64 ? `${shown.slice(0, 64)}…` : shown)} cannot name a ` +
      'channel: use 1 to 128 of A-Z a-z 0-9 . _ -',
  );
}

/** Whether `name` matches `pattern`, in which `*` stands for any run of characters, also none. */
export function matchesChannelPattern(pattern: string, name: string): boolean {
  const literal = pattern.split('*').map((part) => part.replaceAll('.', '\\.'));
  return new RegExp(`^${literal.join('.*')}$`).test(name);
}

/**
 * What is wrong with the sources of a channel whose group has been checked, as a sentence without a
 * full stop; undefined if nothing is. A group for named sources that has none yet is not wrong: it
 * can be published to.
 */
export function sourcesProblem({
  group,
  sources = [],
}: Pick<ChannelAddress, 'group' | 'sources'>): string | undefined {
  for (const source of sources) {
    const canonical = canonicalAddress(source);
    if (canonical === undefined || isMulticastGroup(canonical))
      return `source ${source} is not the IP address of a host`;
    if (canonical !== source) return `source ${source} is to be written ${canonical}`;
    if (familyOf(source) !== familyOf(group))
      return `source ${source} is no ${familyOf(group)} address, but the group ${group} is`;
  }
  return undefined;
}

/** Whether the channel is heard from named sources only. */
export function hasSources({ sources }: Pick<ChannelAddress, 'sources'>): boolean {
  return sources !== undefined && sources.length > 0;
}

/** Whether `port` is a usable UDP or data-destination port. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= PORT_MAX;
}
