// How often one address may ask: whoever does more is told when to come again. Before anything is
// known of a request but where it comes from, so that neither tokens nor addresses can be tried out
// any faster. Counted in memory, by each server for itself.

import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { BackcastError } from '#base/mod.ts';
import type { ApiLimits } from '../limits.ts';

const WINDOW_MS = 1_000;
/** Addresses that are counted at once; of more, those seen the longest ago begin anew. */
const ADDRESSES_MAX = 10_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route may be asked as often as one likes. */
    isUnlimited?: boolean;
  }
}

/** Limits every request to `app`, but to routes that say otherwise. */
export async function installRateLimit(
  app: FastifyInstance,
  { requestsPerSecMax }: Pick<ApiLimits, 'requestsPerSecMax'>,
): Promise<void> {
  await app.register(rateLimit, { global: false, cache: ADDRESSES_MAX });
  const count = app.createRateLimit({ max: requestsPerSecMax, timeWindow: WINDOW_MS });
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.isUnlimited === true) return;
    const counted = await count(request);
    if (counted.isAllowed || !counted.isExceeded) return;
    void reply.header('retry-after', counted.ttlInSeconds);
    throw new BackcastError(
      'BACKCAST_RATE_LIMITED',
      `More than ${requestsPerSecMax} requests came from this address within a second. ` +
        'Ask less often; larger pages, or one stream, bring the same with fewer requests.',
    );
  });
}
