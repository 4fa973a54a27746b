// The words that name a channel and where its packets go. The registry answers with these shapes,
// and whatever it answers is checked here like any other input.

/** How the bytes of a packet are cut into messages: a property of the channel. */
export type Framing = 'native' | 'raw' | 'zmq';

/** Where a channel lives on the network. */
export interface ChannelAddress {
  /** IPv4 multicast group, dotted. */
  readonly group: string;
  /** UDP port, 1–65535. */
  readonly port: number;
  /**
   * PGM data-destination port: tells channels that share group and port apart, 1–65535. The UDP
   * port in the framing `zmq`.
   */
  readonly dport: number;
  readonly framing: Framing;
}

/**
 * The data-destination port that a channel really has: ZeroMQ uses the UDP port for it, and no
 * other reaches a ZeroMQ socket.
 */
export function dportOf(framing: Framing, port: number, dport: number): number {
  return framing === 'zmq' ? port : dport;
}

const NAME = /^[A-Za-z0-9._-]{1,128}$/;
const IPV4 = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/**
 * Whether `text` can name a channel: 1 to 128 of A–Z a–z 0–9 . _ - but not `.` or `..`, which URLs
 * drop.
 */
export function isChannelName(text: string): boolean {
  return NAME.test(text) && text !== '.' && text !== '..';
}

/** Whether `name` matches `pattern`, in which `*` stands for any run of characters, also none. */
export function matchesChannelPattern(pattern: string, name: string): boolean {
  const literal = pattern.split('*').map((part) => part.replaceAll('.', '\\.'));
  return new RegExp(`^${literal.join('.*')}$`).test(name);
}

/** Whether `text` is a dotted IPv4 address. */
export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** Whether `text` is a dotted IPv4 multicast group (224.0.0.0/4). */
export function isMulticastGroup(text: string): boolean {
  if (!isIpv4(text)) return false;
  const first = Number(text.slice(0, text.indexOf('.')));
  return first >= 224 && first <= 239;
}

/** Whether `port` is a usable UDP or data-destination port. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
