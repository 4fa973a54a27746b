// Who receives a channel of unicast delivery: the values, and the one thing a publisher asks for.
// Where the list comes from, the configuration or a registry, is not decided here.

import { isPort, isUnicastAddress } from './channel.ts';

/** Where one member of a channel listens. */
export interface MemberAddress {
  /** IPv4 address, dotted. */
  readonly address: string;
  /** UDP port, 1–65535. */
  readonly port: number;
}

/** The members of one channel as they come and go. */
export interface MemberSource {
  /** Those that are to be sent to now. Another array after each change, never a changed one. */
  readonly current: readonly MemberAddress[];
  /** Calls `listener` after each change, until the answer is disposed. */
  watch(listener: () => void): Disposable;
}

/** The member that `text` names as `address:port`, or undefined if it names none. */
export function parseMemberAddress(text: string): MemberAddress | undefined {
  const split = text.lastIndexOf(':');
  const [address, portText] = [text.slice(0, split), text.slice(split + 1)];
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  return isUnicastAddress(address) && isPort(port) ? { address, port } : undefined;
}

/** A list of members that never changes. */
export function fixedMembers(members: readonly MemberAddress[]): MemberSource {
  return { current: members, watch: () => ({ [Symbol.dispose]: () => undefined }) };
}
