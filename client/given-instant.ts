// Instants as an application gives them.

import { BackcastError, parseInstant } from '#base/mod.ts';

/** An instant: a Date, or text in RFC 3339, which has microseconds. */
export type GivenInstant = Date | string;

/** The microseconds since 1970 of `given`. BACKCAST_USAGE for what is none. */
export function instantUs(given: GivenInstant): number {
  const us = given instanceof Date ? given.getTime() * 1_000 : parseInstant(given);
  if (us !== undefined && Number.isFinite(us)) return us;
  throw new BackcastError(
    'BACKCAST_USAGE',
    `${JSON.stringify(given)} is no instant: give a Date, or text such as 2026-11-22T14:00:00Z.`,
  );
}
