// Who receives a channel of unicast delivery: the values, and the one thing a publisher asks for.
// Where the list comes from, the configuration or a registry, is not decided here.

import { isPort } from './channel.ts';
import { canonicalAddress, isHostAddress } from './ip-address.ts';

/** Where one member of a channel listens. */
export interface MemberAddress {
  /** IPv4 or IPv6 address in its canonical text, without a zone. */
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

/**
 * The member that `text` names as `address:port`, or `[address]:port` for IPv6; undefined if it
 * names none.
 */
export function parseMemberAddress(text: string): MemberAddress | undefined {
  const [, ipv6, ipv4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = canonicalAddress(ipv6 ?? ipv4 ?? '') ?? '';
  const port = Number(digits);
  return isHostAddress(address) && isPort(port) ? { address, port } : undefined;
}

/** A list of members that never changes. */
export function fixedMembers(members: readonly MemberAddress[]): MemberSource {
  return { current: members, watch: () => ({ [Symbol.dispose]: () => undefined }) };
}
