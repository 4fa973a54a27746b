// Addresses as packets carry them: IPv4 as a 32-bit number, IPv6 as its 16 bytes.

import { assert, familyOf, ipv6FromWords, ipv6Words, isIpv4, withoutZone } from '#base/mod.ts';
import { readU16, writeU16 } from './bytes.ts';

/** An address in a packet: the number of an IPv4 address, or the 16 bytes of an IPv6 address. */
export type NetworkAddress = number | Uint8Array;

const IPV6_BYTES = 16;

/** The address that `text` is; a zone is left out, since it means nothing to other hosts. */
export function toNetworkAddress(text: string): NetworkAddress {
  return familyOf(text) === 'IPv4' ? ipv4ToWord(text) : ipv6ToBytes(withoutZone(text));
}

/** The number of a dotted IPv4 address. */
export function ipv4ToWord(text: string): number {
  assert(isIpv4(text), 'an address that is put into a packet is dotted IPv4');
  return text.split('.').reduce((word, part) => word * 256 + Number(part), 0);
}

/** The dotted form of an IPv4 address. */
export function ipv4FromWord(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`;
}

/** The 16 bytes of an IPv6 address without a zone. */
export function ipv6ToBytes(text: string): Uint8Array {
  const words = ipv6Words(text);
  assert(words !== undefined, 'an address that is put into a packet is IPv4 or IPv6');
  const bytes = new Uint8Array(IPV6_BYTES);
  words.forEach((word, index) => writeU16(bytes, 2 * index, word));
  return bytes;
}

/** The canonical text of the IPv6 address whose 16 bytes start at `at`. */
export function ipv6FromBytes(bytes: Uint8Array, at: number): string {
  return ipv6FromWords(Array.from({ length: 8 }, (_, index) => readU16(bytes, at + 2 * index)));
}
