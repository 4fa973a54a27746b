// The pool of multicast addresses and the one rule by which a channel gets its place in it. Slot i
// is the i-th group together with the i-th port: a channel shares neither with another one, because
// a Linux socket hears every group that any process of the host has joined on its port. Does not
// know where channels are stored.

import {
  assert,
  BackcastError,
  DPORT_DEFAULT,
  dportOf,
  isPort,
  type ChannelAddress,
  type Framing,
} from '#base/mod.ts';
import { groupIn, type GroupRange, holdsGroup, overlap, parseGroups } from './group-range.ts';
import type { ChannelProperties, PoolOptions } from '#registry/directory/mod.ts';

/**
 * 4,096 channels in 239.192.0.0/14, the organisation-local scope of RFC 2365, on ports below the
 * range from which Linux takes the ports of outgoing connections (32768–60999).
 */
export const POOL_DEFAULT: PoolOptions = {
  groups: ['239.192.0.0/20'],
  ports: [20_000, 24_095],
  dport: DPORT_DEFAULT,
};

/** A pool that has been checked. */
export interface AddressPool {
  /** Channels that fit: the smaller of groups and ports. */
  readonly slotCount: number;
  readonly groupCount: number;
  readonly portCount: number;
  readonly portFirst: number;
  readonly dport: number;
  /** Disjoint. */
  readonly groupRanges: readonly GroupRange[];
}

/**
 * The pool that `options` describe. Throws BACKCAST_CONFIG_INVALID with the entry that is wrong.
 */
export function parsePool(options: PoolOptions): AddressPool {
  const [portFirst, portLast] = options.ports;
  if (!isPort(portFirst) || !isPort(portLast) || portFirst > portLast)
    throw invalidPool(
      `registry.pool.ports [${portFirst}, ${portLast}] is not a first and a last port, 1 to 65535`,
    );
  if (!isPort(options.dport))
    throw invalidPool(`registry.pool.dport ${options.dport} is not a port from 1 to 65535`);
  if (options.groups.length === 0) throw invalidPool('registry.pool.groups is empty');
  const groupRanges = options.groups.map((text) => parsed(text));
  requireDisjoint(groupRanges, options.groups);
  const groupCount = groupRanges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
  const portCount = portLast - portFirst + 1;
  const slotCount = Math.min(groupCount, portCount);
  return { slotCount, groupCount, portCount, portFirst, dport: options.dport, groupRanges };
}

/** Whether `address` lies inside the pool. */
export function poolHolds(pool: AddressPool, address: ChannelAddress): boolean {
  const isGroupInside = pool.groupRanges.some((range) => holdsGroup(range, address.group));
  const portIndex = address.port - pool.portFirst;
  return isGroupInside && portIndex >= 0 && portIndex < pool.portCount;
}

/** The address of slot `slot`, 0 ≤ slot < slotCount. */
export function slotAddress(pool: AddressPool, slot: number, framing: Framing): ChannelAddress {
  assert(slot >= 0 && slot < pool.slotCount, 'a slot lies inside its pool');
  const group = nthGroup(pool, slot);
  const port = pool.portFirst + slot;
  return { group, port, dport: dportOf(framing, port, pool.dport), framing };
}

/**
 * The slot that `name` takes when it is free (FNV-1a, 32 bits). Derived from the name so that a
 * registry that has lost everything hands out almost the same addresses again, instead of giving a
 * new channel the address on which an old one is still running.
 */
export function preferredSlot(pool: AddressPool, name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1)
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % pool.slotCount;
}

/**
 * The first free slot from the preferred one on, wrapping around; undefined if the pool is used up.
 */
export function allocate(
  pool: AddressPool,
  request: { readonly name: string } & ChannelProperties,
  taken: Iterable<{ readonly group: unknown; readonly port: unknown }>,
): ChannelAddress | undefined {
  const groups = new Set<unknown>();
  const ports = new Set<unknown>();
  for (const address of taken) {
    groups.add(address.group);
    ports.add(address.port);
  }
  const { name, framing, ...properties } = request;
  const start = preferredSlot(pool, name);
  for (let step = 0; step < pool.slotCount; step += 1) {
    const address = slotAddress(pool, (start + step) % pool.slotCount, framing);
    if (groups.has(address.group) || ports.has(address.port)) continue;
    return { ...address, ...properties };
  }
  return undefined;
}

/** The error for a pool without a free slot: how many there are and how to get more. */
export function poolExhausted(pool: AddressPool, channel: string): BackcastError {
  const widen = pool.groupCount <= pool.portCount ? 'registry.pool.groups' : 'registry.pool.ports';
  return new BackcastError(
    'BACKCAST_POOL_EXHAUSTED',
    `no address is left for channel "${channel}": all ${pool.slotCount} slots of the pool are ` +
      `taken (${pool.groupCount} groups, ${pool.portCount} ports); widen ${widen} everywhere`,
  );
}

function nthGroup(pool: AddressPool, index: number): string {
  let left = index;
  const range = pool.groupRanges.find(({ first, last }) => {
    if (left <= last - first) return true;
    left -= last - first + 1;
    return false;
  });
  assert(range !== undefined, 'the groups of a pool cover its slots');
  return groupIn(range, range.first + left);
}

function parsed(text: string): GroupRange {
  const range = parseGroups(text);
  if (typeof range === 'object') return range;
  throw invalidPool(`registry.pool.groups entry "${text}" ${range}`);
}

function requireDisjoint(ranges: readonly GroupRange[], texts: readonly string[]): void {
  ranges.forEach((left, leftIndex) => {
    ranges.forEach((right, rightIndex) => {
      if (leftIndex >= rightIndex || !overlap(left, right)) return;
      throw invalidPool(
        `registry.pool.groups entries "${texts[leftIndex]}" and "${texts[rightIndex]}" overlap`,
      );
    });
  });
}

function invalidPool(problem: string): BackcastError {
  return new BackcastError('BACKCAST_CONFIG_INVALID', problem);
}
