// Who makes a request, as far as a share of what there is goes.

import type { FastifyRequest } from 'fastify';
import { ANYBODY } from './access/principal.ts';

/** A key of the caller: whom the token names, or the address where no token is needed. */
export function callerOf({ access, ip }: FastifyRequest): string {
  return access.who === ANYBODY.who ? ip : access.who;
}
