// A link that is too slow for what is sent over it: lets datagrams through at a rate, holds a short
// queue, and drops what comes beyond, as a switch port or a full socket buffer does.

import type { World } from '#sim/mod.ts';

const UDP_HEADER_BYTES = 28;

/** What went into one link. */
export interface LinkCounters {
  /** Datagrams dropped so far. */
  dropped: number;
}

/**
 * Puts every node of `nodes` behind a link of its own of `bytesPerSec` with a queue of
 * `queueBytes`. Replaces what the network drops. One set of counters over all links.
 */
export function slowLinks(
  world: World,
  nodes: readonly number[],
  options: { readonly bytesPerSec: number; readonly queueBytes: number },
): LinkCounters {
  const queues = new Map(nodes.map((node) => [node, { bytes: 0, atMs: 0 }]));
  const counters = { dropped: 0 };
  world.network.drops = (bytes, to) => {
    const queue = queues.get(to);
    if (queue === undefined) return false;
    const drainedBytes = ((world.nowMs - queue.atMs) * options.bytesPerSec) / 1_000;
    queue.bytes = Math.max(0, queue.bytes - drainedBytes);
    queue.atMs = world.nowMs;
    const isFull = queue.bytes + bytes.length + UDP_HEADER_BYTES > options.queueBytes;
    if (isFull) counters.dropped += 1;
    else queue.bytes += bytes.length + UDP_HEADER_BYTES;
    return isFull;
  };
  return counters;
}
