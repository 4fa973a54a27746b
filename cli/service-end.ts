// How a service ends: in order when it is told to, with an error when a part of it fails first.

import { BackcastError } from '#base/mod.ts';

/**
 * Waits until `signal` fires, and resolves. A part that rejects rejects this too; a part that
 * resolves has ended by itself, which a running service does not survive: BACKCAST_POSTGRES_START.
 */
export async function endOf(
  signal: AbortSignal,
  parts: readonly (Promise<void> | undefined)[],
): Promise<void> {
  const told = Promise.withResolvers<void>();
  const onAbort = (): void => told.resolve();
  if (signal.aborted) return;
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const running = parts.filter((part) => part !== undefined);
    await Promise.race([told.promise, ...running.map((part) => part.then(endedByItself))]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * `work`, or a rejection with the reason of `signal` as soon as that fires: for waits without end.
 */
export async function unlessAborted<Value>(
  work: Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function endedByItself(): never {
  const message =
    'The embedded PostgreSQL has ended by itself; its log in the home folder says why. ' +
    'Start again when that is mended.';
  throw new BackcastError('BACKCAST_POSTGRES_START', message);
}
