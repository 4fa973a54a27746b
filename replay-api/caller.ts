// Who makes a request, as far as limits go.

import type { FastifyRequest } from 'fastify';

/** A key of the caller: his address. */
export function callerOf(request: FastifyRequest): string {
  return request.ip;
}
