// How often one caller may ask: whoever does more is told when to come again. Counted in memory, by
// each server for itself.

import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { BackcastError } from '#base/mod.ts';
import { callerOf } from '../caller.ts';
import type { ApiLimits } from '../limits.ts';

const WINDOW_MS = 1_000;
/** Callers that are counted at once; of more, those seen the longest ago begin anew. */
const CALLERS_MAX = 10_000;
const NO_HEADERS = {
  'x-ratelimit-limit': false,
  'x-ratelimit-remaining': false,
  'x-ratelimit-reset': false,
};

/** Limits every route that is added from here on, but those whose `config` says otherwise. */
export async function installRateLimit(
  app: FastifyInstance,
  { requestsPerSecMax }: Pick<ApiLimits, 'requestsPerSecMax'>,
): Promise<void> {
  await app.register(rateLimit, {
    max: requestsPerSecMax,
    timeWindow: WINDOW_MS,
    cache: CALLERS_MAX,
    keyGenerator: callerOf,
    addHeadersOnExceeding: NO_HEADERS,
    addHeaders: { ...NO_HEADERS, 'retry-after': true },
    errorResponseBuilder: () =>
      new BackcastError(
        'BACKCAST_RATE_LIMITED',
        `More than ${requestsPerSecMax} requests came from this caller within a second. ` +
          'Ask less often; larger pages, or one stream, bring the same with fewer requests.',
      ),
  });
}
