// Which network interface somebody means by an address or a name, what it has to offer to a group,
// and how large a packet it carries in one piece. The only place that knows that IPv4 names an
// interface by its address and IPv6 by its zone.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import {
  type AddressFamily,
  BackcastError,
  canonicalAddress,
  datagramHeaderBytes,
  familyOf,
  isIpv4,
  needsZone,
  PACKET_BYTES_AUTO_MAX,
  PACKET_BYTES_DEFAULT,
  PACKET_BYTES_MIN,
  withoutZone,
} from '#base/mod.ts';

/** An interface as the sockets of one group need it. */
export interface MulticastInterface {
  readonly family: AddressFamily;
  /** Where its datagrams come from. */
  readonly address: string;
  /** How joins and sends of multicast name it: its IPv4 address, or `::%name`. */
  readonly selector: string;
  /** IPv6: what stands behind `%` in addresses of one link. */
  readonly zone: string | undefined;
}

/** What the limits of packets are counted with: they are those of IPv4. */
const IPV4_HEADER_BYTES = datagramHeaderBytes('0.0.0.0');

/**
 * The interface that `choice` means for `group`. An IPv4 address and an IPv4 group are taken
 * together as they are; otherwise `choice` is an address or the name of an interface, and an
 * address of the group's family is found there: the chosen one if it is of that family, else one
 * that reaches as far as the group. Errors: BACKCAST_INTERFACE_UNUSABLE.
 */
export function resolveInterface(choice: string, group: string): MulticastInterface {
  const family = familyOf(group);
  if (family === 'IPv4' && isIpv4(choice)) return ofIpv4(choice);
  const found = findInterface(choice);
  if (found === undefined) throw unusableInterface(choice, 'no interface has this address or name');
  const { name, addresses } = found;
  const ofFamily = addresses.filter((address) => familyOf(address) === family);
  const bare = canonicalAddress(withoutZone(choice)) ?? '';
  const address = ofFamily.includes(bare) ? bare : nearest(ofFamily, group);
  if (address === undefined)
    throw unusableInterface(choice, `${name} has no ${family} address, which ${group} needs`);
  if (family === 'IPv4') return ofIpv4(address);
  const sourceAddress = needsZone(address) ? `${address}%${name}` : address;
  return { family, address: sourceAddress, selector: `::%${name}`, zone: name };
}

/**
 * The largest UDP payload that leaves the interface for `group` unfragmented, between
 * PACKET_BYTES_MIN and PACKET_BYTES_AUTO_MAX, or 20 bytes less for IPv6; that of Ethernet if it
 * cannot be found out, as outside Linux. Errors: those of resolveInterface.
 */
export function packetBytesOf(choice: string, group: string): number {
  const name = findInterface(resolveInterface(choice, group).address)?.name;
  const mtuBytes = name === undefined ? undefined : readMtuBytes(name);
  const headerBytes = datagramHeaderBytes(group);
  const extraBytes = headerBytes - IPV4_HEADER_BYTES;
  if (mtuBytes === undefined) return PACKET_BYTES_DEFAULT - extraBytes;
  const packetBytesMax = PACKET_BYTES_AUTO_MAX - extraBytes;
  return Math.min(packetBytesMax, Math.max(PACKET_BYTES_MIN, mtuBytes - headerBytes));
}

/** The error for an interface that cannot be used because of `reason`; names those there are. */
export function unusableInterface(choice: string, reason: string, cause?: Error): BackcastError {
  const usable = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.map(({ address }) => `${address} (${name})`),
  );
  const list = usable.length === 0 ? 'there is none' : usable.join(', ');
  const message =
    `${choice} cannot be used for multicast (${reason}). ` +
    `Give the address or the name of an interface of this host: ${list}.`;
  return new BackcastError('BACKCAST_INTERFACE_UNUSABLE', message, { cause });
}

function ofIpv4(address: string): MulticastInterface {
  return { family: 'IPv4', address, selector: address, zone: undefined };
}

/** The interface of this name or with this address, which may say its zone. */
function findInterface(
  choice: string,
): { readonly name: string; readonly addresses: readonly string[] } | undefined {
  const bare = canonicalAddress(withoutZone(choice));
  const zone = choice.includes('%') ? choice.slice(choice.indexOf('%') + 1) : undefined;
  for (const [name, entries = []] of Object.entries(networkInterfaces())) {
    const addresses = entries.map(({ address }) => address);
    const hasAddress = bare !== undefined && addresses.includes(bare);
    if (name === choice || (hasAddress && (zone ?? name) === name)) return { name, addresses };
  }
  return undefined;
}

/**
 * For a group of one link an address of that link, for a wider one a wider address, if there is.
 */
function nearest(addresses: readonly string[], group: string): string | undefined {
  return addresses.find((address) => needsZone(address) === needsZone(group)) ?? addresses[0];
}

function readMtuBytes(name: string): number | undefined {
  try {
    const mtuBytes = Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
    return Number.isInteger(mtuBytes) ? mtuBytes : undefined;
  } catch {
    return undefined;
  }
}
