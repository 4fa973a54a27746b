// Keeps readers of history from costing more than the process has. An answer that waits for its
// reader holds some of the archive in memory, so there is a bound on how many may wait at once, and
// one on how long a reader may take nothing.

import { finished } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BackcastError } from '#base/mod.ts';

/** How long a reader may take nothing at all before it is cut off. */
export const STALL_MS_MAX = 10_000;
/** Answers with messages that may be under way at once, each of some two megabytes. */
export const READERS_MAX = 256;

/** The bounds of a guard. */
export interface ReaderBounds {
  readonly stallMsMax: number;
  readonly readersMax: number;
}

/** Lets the reader of one answer in; throws BACKCAST_BUSY if there are too many. */
export type ReaderGuard = (request: FastifyRequest, reply: FastifyReply) => void;

/**
 * A guard that counts an answer until it has been sent or its connection is gone, and ends the
 * connection of a reader that takes not a byte for `stallMsMax` while something is waiting to be
 * sent. Waiting for the database does not count.
 */
export function createReaderGuard({ stallMsMax, readersMax }: ReaderBounds): ReaderGuard {
  let readers = 0;
  return (request, reply) => {
    const response = reply.raw;
    if (readers >= readersMax) {
      throw new BackcastError(
        'BACKCAST_BUSY',
        `${readersMax} answers with messages are under way. Try again in a moment.`,
      );
    }
    readers += 1;
    finished(response, () => {
      readers -= 1;
    });
    // The socket's own timer knows what the kernel has taken, and starts afresh with every byte.
    response.setTimeout(stallMsMax, () => {
      if (response.writableLength === 0) return;
      request.log.warn({ stallMsMax, url: request.url }, 'reader stalled, connection cut');
      response.destroy();
    });
  };
}
