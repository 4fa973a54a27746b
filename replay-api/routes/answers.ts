// What the routes have in common: what there is of a channel, instants that may be missing, and
// where a list goes on.

import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { findChannel } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import type { ReadDatabases } from '../read-databases.ts';

/**
 * What is kept of the channel called `name`, as a problem tells it: by the primary, which is asked
 * before anything counts as gone.
 */
export async function availabilityOf(reads: ReadDatabases, name: string): Promise<object> {
  const channel = await findChannel(reads.primary().database, name);
  return {
    firstPosition: channel.firstPosition,
    archivedThrough: channel.archivedThrough,
    publishedFrom: nullableInstant(channel.publishedFromUs),
    publishedThrough: nullableInstant(channel.publishedThroughUs),
  };
}

/**
 * Answers HEAD where the body would be a stream, or dear: with the headers set so far, and without
 * a length, which nobody knows.
 */
export function sendHead(reply: FastifyReply): FastifyReply {
  return reply.send(Readable.from([]));
}

/** RFC 3339, or null for what has not happened. */
export function nullableInstant(us: number | null): string | null {
  return us === null ? null : formatInstant(us);
}

/** Where the page goes on that `query` asked for, as a relative URL. */
export function nextUrl(
  path: string,
  cursor: string,
  query: Readonly<Record<string, string | number | undefined>>,
): string {
  const next = new URLSearchParams({ cursor });
  for (const [name, value] of Object.entries(query)) {
    if (name !== 'cursor' && value !== undefined) next.set(name, String(value));
  }
  return `${path}?${next.toString()}`;
}
