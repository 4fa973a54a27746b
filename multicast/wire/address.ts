// IPv4 addresses as the 32-bit numbers that packets carry.

import { assert, isIpv4 } from '#base/mod.ts';

/** The number of a dotted IPv4 address. */
export function ipv4ToWord(text: string): number {
  assert(isIpv4(text), 'an address that is put into a packet is dotted IPv4');
  return text.split('.').reduce((word, part) => word * 256 + Number(part), 0);
}

/** The dotted form of an IPv4 address. */
export function ipv4FromWord(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 0xff}.${(word >>> 8) & 0xff}.${word & 0xff}`;
}
