// A run of multicast groups as a pool names it: a CIDR block, a range, or one group. Groups of a
// run are counted by a number of 32 bits: the whole address of IPv4, the last 16 bits of IPv6, of
// which a run therefore has 65,536 at most, as many as there are ports. Pure.

import {
  canonicalAddress,
  familyOf,
  ipv6FromWords,
  ipv6Words,
  isMulticastGroup,
  isSourceSpecificGroup,
} from '#base/mod.ts';

/** Groups that differ only in their number; both ends are included. */
export interface GroupRange {
  readonly first: number;
  readonly last: number;
  /** IPv6: what stands before the number in hexadecimal, when that is not 0. IPv4: empty. */
  readonly prefix: string;
  /** IPv6: the text of the group whose number is 0, in which more may be left out. IPv4: empty. */
  readonly zero: string;
}

const IPV4_LOCAL_LAST = 0xe000_00ff;
const IPV4_SOURCE_SPECIFIC = { first: 0xe800_0000, last: 0xe8ff_ffff, prefix: '', zero: '' };
const NUMBER_MAX = 0xffff;
/** Of the eight words of an IPv6 address, the one that is the number. */
const LAST_WORD = 7;

/** The groups that `text` names, or what is wrong with it, as the end of a sentence. */
export function parseGroups(text: string): GroupRange | string {
  const range = parseRange(text);
  if (range === undefined)
    return (
      'is not a group, CIDR block or range of multicast addresses such as 239.192.0.0/20, or of ' +
      'IPv6 such as ff15::1:0/112, where at most the last 16 bits differ'
    );
  if (range.prefix === '' && range.first <= IPV4_LOCAL_LAST)
    return (
      'reaches into 224.0.0.0/24, which belongs to routing protocols; take addresses from ' +
      '239.192.0.0/14'
    );
  if (hasSourceSpecific(range))
    return (
      'has groups whose receivers must name their sources, which a pool cannot; list such ' +
      'channels with their sources in `channels`'
    );
  if (range.prefix.startsWith('ff0'))
    return 'has groups of ff00::/12, which are assigned for ever; take addresses from ff15::/16';
  return range;
}

/** The group with this number, as canonical text. */
export function groupIn({ prefix, zero }: GroupRange, number: number): string {
  if (prefix === '') return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
  return number === 0 ? zero : prefix + number.toString(16);
}

/** Whether the range has this group. */
export function holdsGroup(range: GroupRange, group: string): boolean {
  const { prefix, number } = split(group);
  return prefix === range.prefix && number >= range.first && number <= range.last;
}

/** Whether two ranges have a group in common. */
export function overlap(left: GroupRange, right: GroupRange): boolean {
  return left.prefix === right.prefix && left.first <= right.last && right.first <= left.last;
}

function hasSourceSpecific(range: GroupRange): boolean {
  return isSourceSpecificGroup(groupIn(range, range.first)) || overlap(range, IPV4_SOURCE_SPECIFIC);
}

function parseRange(text: string): GroupRange | undefined {
  const [start = '', bits, ...more] = text.split('/');
  if (more.length > 0) return undefined;
  if (bits !== undefined) return parseCidr(start, bits);
  const [from = '', to = from, ...rest] = text.split('-').map((part) => canonicalAddress(part));
  if (rest.length > 0 || !isMulticastGroup(from) || !isMulticastGroup(to)) return undefined;
  const { number: last, prefix } = split(to);
  const range = { ...startingAt(from), last };
  return prefix === range.prefix && range.first <= last ? range : undefined;
}

function parseCidr(start: string, bits: string): GroupRange | undefined {
  const from = canonicalAddress(start) ?? '';
  if (!isMulticastGroup(from) || !/^\d{1,3}$/.test(bits)) return undefined;
  const [bitsMin, bitsMax] = familyOf(from) === 'IPv4' ? [4, 32] : [112, 128];
  const prefixBits = Number(bits);
  if (prefixBits < bitsMin || prefixBits > bitsMax) return undefined;
  const size = 2 ** (bitsMax - prefixBits);
  const range = startingAt(from);
  const { first } = range;
  return first % size === 0 ? { ...range, last: first + size - 1 } : undefined;
}

function startingAt(group: string): GroupRange {
  const { prefix, number } = split(group);
  if (prefix === '') return { prefix, zero: '', first: number, last: number };
  const words = ipv6Words(group)?.with(LAST_WORD, 0) ?? [];
  return { prefix, zero: ipv6FromWords(words), first: number, last: number };
}

/** A group as what stands before its number, and the number. */
function split(group: string): { readonly prefix: string; readonly number: number } {
  const words = ipv6Words(group);
  if (words === undefined) {
    return {
      prefix: '',
      number: group.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0),
    };
  }
  const highest = ipv6FromWords(words.with(LAST_WORD, NUMBER_MAX));
  return { prefix: highest.slice(0, highest.lastIndexOf(':') + 1), number: words[LAST_WORD] ?? 0 };
}
