// Cuts off a reader that does not read. While a streamed answer waits for its reader it holds a
// page of the archive in memory; somebody who has gone to sleep may not hold it forever.

import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** How long a reader may take nothing at all before it is cut off. */
export const STALL_MS_MAX = 10_000;

/**
 * Ends the connection of `request` when its reader takes not a byte for `stallMsMax` while
 * something is waiting to be sent; waiting for the database does not count. `lines` stops being
 * read with it.
 */
export function cutWhenStalled(
  request: FastifyRequest,
  reply: FastifyReply,
  lines: Readable,
  stallMsMax: number,
): void {
  const response = reply.raw;
  // The socket's own timer knows what the kernel has taken, and starts afresh with every byte of
  // it.
  response.setTimeout(stallMsMax, () => {
    if (response.writableLength === 0) return;
    request.log.warn({ stallMsMax, url: request.url }, 'reader stalled, connection cut');
    lines.destroy();
    response.destroy();
  });
}
