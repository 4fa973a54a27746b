// What a registry makes of a store that is away or holds nonsense: which errors are the store's,
// and which of those an owner need not hear of.

import { BackcastError } from '#base/mod.ts';

/** Whether `error` is about the store, rather than about what was asked of it. */
export function isAboutTheStore(error: unknown): error is BackcastError {
  return (
    error instanceof BackcastError &&
    (error.code === 'BACKCAST_REDIS_UNREACHABLE' || error.code === 'BACKCAST_REGISTRY_INVALID')
  );
}

/** Lets an outage pass: leases are renewed when Redis is back, and run out by themselves. */
export async function whileAway(attempt: Promise<unknown>): Promise<void> {
  try {
    await attempt;
  } catch (error) {
    if (!(error instanceof BackcastError) || error.code !== 'BACKCAST_REDIS_UNREACHABLE')
      throw error;
  }
}
