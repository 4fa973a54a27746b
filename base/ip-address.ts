// IP addresses as text and what follows from them: families, scopes, sizes of headers. An IPv6
// address has many texts; the canonical one (RFC 5952) is what is stored and compared here. Zones
// (`%eth0`) belong to one host, so they never stand in what is stored or sent.

/** The two kinds of addresses, as the operating system's interfaces name them. */
export type AddressFamily = 'IPv4' | 'IPv6';

const IPV4 = /^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;
const OF_ONE_LINK = /^(fe[89ab][0-9a-f]|ff[0-9a-f][12]):/;
const IPV6_WORD = /^[0-9a-f]{1,4}$/i;
const IPV6_WORDS = 8;
/** Headers before a UDP payload: IP and UDP. */
const IPV4_UDP_BYTES = 20 + 8;
const IPV6_UDP_BYTES = 40 + 8;

/** Whether `text` is a dotted IPv4 address. */
export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** Whether `text` is an IPv6 address in any of its texts, without a zone. */
export function isIpv6(text: string): boolean {
  return ipv6Words(text) !== undefined;
}

/** The one text of an address, whichever it was given in; undefined if `text` is no address. */
export function canonicalAddress(text: string): string | undefined {
  if (isIpv4(text)) return text;
  const words = ipv6Words(text);
  return words === undefined ? undefined : ipv6FromWords(words);
}

/** The family of an address that has been checked. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** What IP and UDP put before each payload that goes to an address of this kind. */
export function datagramHeaderBytes(address: string): number {
  return familyOf(address) === 'IPv6' ? IPV6_UDP_BYTES : IPV4_UDP_BYTES;
}

/** `address` without `%zone`. */
export function withoutZone(address: string): string {
  const at = address.indexOf('%');
  return at < 0 ? address : address.slice(0, at);
}

/** `192.0.2.7:7600` or `[2001:db8::7]:7600`. */
export function endpointText(address: string, port: number): string {
  return familyOf(address) === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether `text` is a multicast group: 224.0.0.0/4, or the canonical text of one in ff00::/8. */
export function isMulticastGroup(text: string): boolean {
  if (!isIpv4(text)) return text.startsWith('ff') && canonicalAddress(text) === text;
  const first = Number(text.slice(0, text.indexOf('.')));
  return first >= 224 && first <= 239;
}

/**
 * Whether `text` is the canonical text of an address that one host may have: neither multicast, nor
 * unspecified, nor of the reserved ranges of IPv4, broadcast to everybody among them.
 */
export function isHostAddress(text: string): boolean {
  if (!isIpv4(text))
    return text !== '::' && canonicalAddress(text) === text && !isMulticastGroup(text);
  const first = Number(text.slice(0, text.indexOf('.')));
  return first >= 1 && first <= 223;
}

/**
 * Whether a group that has been checked is meant for joins that name their sources: 232.0.0.0/8
 * (RFC 4607) or ff3x::/32.
 */
export function isSourceSpecificGroup(group: string): boolean {
  if (familyOf(group) === 'IPv4') return group.startsWith('232.');
  const [first = 0, second = 0] = ipv6Words(group) ?? [];
  return (first & 0xfff0) === 0xff30 && second === 0;
}

/**
 * Whether an IPv6 address, in canonical text, means something on one link or one host only, so that
 * the operating system wants to be told the zone: fe80::/10, and multicast of scope 1 or 2.
 */
export function needsZone(address: string): boolean {
  return OF_ONE_LINK.test(address);
}

/**
 * The eight words of 16 bits of an IPv6 address, in any of its texts but without a zone; undefined
 * if `text` is none.
 */
export function ipv6Words(text: string): number[] | undefined {
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return undefined;
  const before = parseWords(head, tail === undefined);
  const after = parseWords(tail ?? '', true);
  if (before === undefined || after === undefined) return undefined;
  const absent = IPV6_WORDS - before.length - after.length;
  if (tail === undefined ? absent !== 0 : absent < 1) return undefined;
  return [...before, ...Array<number>(absent).fill(0), ...after];
}

/**
 * The canonical text of eight words: lower case, the first of the longest runs of zeros as `::`.
 */
export function ipv6FromWords(words: readonly number[]): string {
  const { start, length } = longestZeros(words);
  const texts = words.map((word) => word.toString(16));
  if (length < 2) return texts.join(':');
  return `${texts.slice(0, start).join(':')}::${texts.slice(start + length).join(':')}`;
}

/** The words of a part without `::`; the last two may be written as dotted IPv4 at the very end. */
function parseWords(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (IPV6_WORD.test(part)) {
      words.push(Number.parseInt(part, 16));
    } else if (isEnd && index === parts.length - 1 && isIpv4(part)) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      words.push(a * 256 + b, c * 256 + d);
    } else return undefined;
  }
  return words;
}

function longestZeros(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let run = { start: 0, length: 0 };
  for (const [index, word] of words.entries()) {
    run =
      word === 0 ? { start: run.start, length: run.length + 1 } : { start: index + 1, length: 0 };
    if (run.length > best.length) best = run;
  }
  return best;
}
