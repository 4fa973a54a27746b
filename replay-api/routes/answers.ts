// What the routes have in common: how their schemas list problems, and instants that may be
// missing.

import { Type, type TSchema } from 'typebox';
import { findChannel } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import type { ReadDatabases } from '../read-databases.ts';

const PROBLEMS = {
  400: 'A parameter is not valid; the detail names it.',
  401: 'The request carries no valid token.',
  403: 'The token does not allow this.',
  404: 'The archive has never heard of it.',
  406: 'None of the accepted media types can be served.',
  410: 'This part of the history is no longer kept.',
  422: 'The range ends before it begins.',
  429: 'The caller asks for too much at once; Retry-After says when to try again.',
  503: 'The database is away, or too much is under way; Retry-After says when to try again.',
} as const;

/**
 * `responses` and the problems with these statuses, with that of a missing token, and with 429,
 * which every route may have.
 */
export function withProblems<Responses extends Readonly<Record<number, TSchema | object>>>(
  responses: Responses,
  statuses: readonly Exclude<keyof typeof PROBLEMS, 429>[],
): Responses {
  const problems = [401 as const, ...statuses, 429 as const].map((status) => [
    status,
    {
      description: PROBLEMS[status],
      content: { 'application/problem+json': { schema: Type.Ref('Problem#') } },
    },
  ]);
  return { ...responses, ...Object.fromEntries(problems) } as Responses;
}

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
