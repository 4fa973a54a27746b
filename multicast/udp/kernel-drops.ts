// How many datagrams the kernel dropped for this process because a receive buffer was full: the
// one loss that no program sees happen. Linux tells it in /proc; elsewhere the answer is 0.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isIpv4 } from '#base/mod.ts';
import { ipv6ToBytes } from '#multicast/wire/mod.ts';
import { monotonicMs } from './clock.ts';

const LISTS = ['/proc/net/udp', '/proc/net/udp6'];
/** Columns of both lists, counted from 0. */
const LOCAL_COLUMN = 1;
const INODE_COLUMN = 9;
const DROPS_COLUMN = 12;
/** Reading the list of a host's sockets costs in proportion to them, so it is read this seldom. */
const FRESH_MS = 900;

let readAtMs = Number.NEGATIVE_INFINITY;
let dropsByAddress: ReadonlyMap<string, number> = new Map();

/**
 * Datagrams dropped so far at the sockets of this process that are bound to this address, without a
 * zone, and port; up to a second old.
 */
export function kernelDropsAt(address: string, port: number): number {
  const nowMs = monotonicMs();
  if (nowMs - readAtMs >= FRESH_MS) {
    readAtMs = nowMs;
    dropsByAddress = readDrops();
  }
  return dropsByAddress.get(keyOf(address, port)) ?? 0;
}

function readDrops(): Map<string, number> {
  const drops = new Map<string, number>();
  try {
    const own = ownInodes();
    for (const line of LISTS.flatMap(linesOf)) {
      const columns = line.trim().split(/\s+/);
      if (!own.has(columns[INODE_COLUMN] ?? '')) continue;
      const key = columns[LOCAL_COLUMN] ?? '';
      drops.set(key, (drops.get(key) ?? 0) + Number(columns[DROPS_COLUMN]));
    }
  } catch {
    // Not Linux, or /proc is hidden: then nothing is known.
  }
  return drops;
}

/** A kernel without IPv6 has no list of it. */
function linesOf(list: string): string[] {
  return existsSync(list) ? readFileSync(list, 'ascii').split('\n').slice(1) : [];
}

function ownInodes(): Set<string> {
  const inodes = readdirSync('/proc/self/fd').map((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${name}`))?.[1] ?? '';
    } catch {
      return '';
    }
  });
  return new Set(inodes.filter((inode) => inode !== ''));
}

/** As /proc writes it: the address as 32-bit numbers in the machine's byte order, and the port. */
function keyOf(address: string, port: number): string {
  const bytes = isIpv4(address) ? address.split('.').map(Number) : [...ipv6ToBytes(address)];
  const hex = bytes.map((_, index) => bytes[index ^ 3]?.toString(16).padStart(2, '0'));
  const portHex = port.toString(16).padStart(4, '0');
  return `${hex.join('')}:${portHex}`.toUpperCase();
}
