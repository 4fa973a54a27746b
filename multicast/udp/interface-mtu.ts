// How large a packet an interface carries in one piece. Linux tells in /sys; elsewhere Ethernet is
// assumed.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { PACKET_BYTES_AUTO_MAX, PACKET_BYTES_DEFAULT, PACKET_BYTES_MIN } from '#base/mod.ts';

/** IPv4 and UDP headers, which the interface's limit counts. */
const HEADER_BYTES = 28;

/**
 * The largest UDP payload that leaves the interface with this IPv4 address unfragmented, between
 * PACKET_BYTES_MIN and PACKET_BYTES_AUTO_MAX; PACKET_BYTES_DEFAULT if that cannot be found out.
 */
export function packetBytesOf(interfaceAddress: string): number {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (!addresses?.some(({ address }) => address === interfaceAddress)) continue;
    const mtuBytes = readMtuBytes(name);
    if (mtuBytes === undefined) break;
    return Math.min(PACKET_BYTES_AUTO_MAX, Math.max(PACKET_BYTES_MIN, mtuBytes - HEADER_BYTES));
  }
  return PACKET_BYTES_DEFAULT;
}

function readMtuBytes(name: string): number | undefined {
  try {
    const mtuBytes = Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
    return Number.isInteger(mtuBytes) ? mtuBytes : undefined;
  } catch {
    return undefined;
  }
}
