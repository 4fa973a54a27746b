// Keeps readers of history from costing more than the process has. An answer that waits for its
// reader holds some of the archive in memory, so there is a bound on how many may wait at once, for
// all and for one caller, and one on how long a reader may take nothing.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { BackcastError } from '#base/mod.ts';
import { callerOf } from './caller.ts';
import type { ApiLimits } from './limits.ts';

/**
 * Lets the reader of one answer in. Throws BACKCAST_BUSY if there are too many, and
 * BACKCAST_TOO_MANY_READERS if too many are this caller's.
 */
export type ReaderGuard = (request: FastifyRequest, reply: FastifyReply) => void;

/** The bounds of a guard. */
export type ReaderBounds = Pick<ApiLimits, 'readersMax' | 'readersPerCallerMax' | 'stallMsMax'>;

/** A guard, and how many it has let in that are still there. */
export interface CountingGuard {
  readonly admit: ReaderGuard;
  readonly readers: number;
}

/**
 * A guard that counts an answer until it has been sent or its connection is gone, and ends the
 * connection of a reader that takes not a byte for `stallMsMax` while something is waiting to be
 * sent. Waiting for the database does not count.
 */
export function createReaderGuard({
  readersMax,
  readersPerCallerMax,
  stallMsMax,
}: ReaderBounds): CountingGuard {
  const callers = new Map<string, number>();
  let readers = 0;
  const enter = (caller: string): void => {
    readers += 1;
    callers.set(caller, (callers.get(caller) ?? 0) + 1);
  };
  const leave = (caller: string): void => {
    readers -= 1;
    const left = (callers.get(caller) ?? 1) - 1;
    if (left === 0) callers.delete(caller);
    else callers.set(caller, left);
  };
  const admit: ReaderGuard = (request, reply) => {
    const caller = callerOf(request);
    if ((callers.get(caller) ?? 0) >= readersPerCallerMax) throw tooMany(readersPerCallerMax);
    if (readers >= readersMax) throw busy(readersMax);
    enter(caller);
    const response = reply.raw;
    request.access.onEnd(() => leave(caller));
    // The socket's own timer knows what the kernel has taken, and starts afresh with every byte.
    response.setTimeout(stallMsMax, () => {
      if (response.writableLength === 0) return;
      request.log.warn({ stallMsMax, url: request.url }, 'reader stalled, connection cut');
      response.destroy();
    });
  };
  return {
    admit,
    get readers() {
      return readers;
    },
  };
}

function busy(readersMax: number): BackcastError {
  return new BackcastError(
    'BACKCAST_BUSY',
    `${readersMax} answers with messages are under way. Try again in a moment.`,
  );
}

function tooMany(readersPerCallerMax: number): BackcastError {
  return new BackcastError(
    'BACKCAST_TOO_MANY_READERS',
    `${readersPerCallerMax} answers with messages are under way to this caller. ` +
      'Read fewer at once, or wait until one has ended.',
  );
}
