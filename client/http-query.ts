// What is asked of the replay API, as the query of a URL.

import type { MessagesQuery, SessionsQuery, TailQuery } from './contract.ts';

type Query = MessagesQuery | SessionsQuery | TailQuery;

/** `query` with its question mark; nothing if it asks for nothing. */
export function queryText(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}
