// What the parameters of a request for messages mean together, and the URL that says the same again
// from another place. Refuses combinations that contradict each other, naming both, before any
// database call.

import type { MessageRequest } from '#archive/mod.ts';
import {
  assert,
  BackcastError,
  formatInstant,
  isSessionId,
  parseInstant,
  type SessionId,
} from '#base/mod.ts';
import type { MessagesQuery } from './contract.ts';

const BY_POSITION = ['after', 'before', 'from', 'to'] as const;

/** The request that `query` makes. BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED. */
export function toMessageRequest(query: MessagesQuery): MessageRequest {
  const order = query.order ?? 'asc';
  if (query.session !== undefined) {
    assertNoneGiven(query);
    const { first, last } = query;
    assertNotInverted('first', first, 'last', last);
    return { kind: 'sequences', session: toSessionId(query.session), first, last, order };
  }
  assertNoSequences(query);
  const { after, before } = query;
  const publishedFromUs = toInstantUs(query.from);
  const publishedToUs = toInstantUs(query.to);
  assertNotInverted('after', after, 'before', before);
  assertNotInverted('from', publishedFromUs, 'to', publishedToUs);
  return { kind: 'positions', after, before, publishedFromUs, publishedToUs, order };
}

/** The query that makes `request` again, with `limit` as it was given. */
export function toQueryString(request: MessageRequest, limit: number | undefined): string {
  const query = new URLSearchParams();
  const add = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) query.set(name, String(value));
  };
  if (request.kind === 'sequences') {
    add('session', request.session);
    add('first', request.first);
    add('last', request.last);
  } else {
    add('after', request.after);
    add('before', request.before);
    add('from', toInstantText(request.publishedFromUs));
    add('to', toInstantText(request.publishedToUs));
  }
  if (request.order === 'desc') add('order', 'desc');
  add('limit', limit);
  return query.toString().replaceAll('%3A', ':');
}

/** `text` as a session; BACKCAST_RANGE_INVALID for sixteen zeros, which no publisher draws. */
export function toSessionId(text: string): SessionId {
  if (isSessionId(text)) return text;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `Parameter "session" is "${text}": no session is.`,
  );
}

/** BACKCAST_RANGE_INVERTED if both are given and the range ends before it begins. */
export function assertNotInverted(
  startName: string,
  start: number | undefined,
  endName: string,
  end: number | undefined,
): void {
  if (start === undefined || end === undefined || start <= end) return;
  throw new BackcastError(
    'BACKCAST_RANGE_INVERTED',
    `"${startName}" lies behind "${endName}". Exchange the two.`,
  );
}

function assertNoneGiven(query: MessagesQuery): void {
  const other = BY_POSITION.find((name) => query[name] !== undefined);
  if (other === undefined) return;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `"session" and "${other}" exclude each other: a session is read by "first" and "last".`,
  );
}

function assertNoSequences(query: MessagesQuery): void {
  const name = query.first === undefined ? 'last' : 'first';
  if (query[name] === undefined) return;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `"${name}" counts sequences of a session: give "session" with it.`,
  );
}

/** The microseconds of an instant that was checked; undefined if none was given. */
export function toInstantUs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const us = parseInstant(text);
  assert(us !== undefined, 'an instant was checked when the request came in');
  return us;
}

function toInstantText(us: number | undefined): string | undefined {
  return us === undefined ? undefined : formatInstant(us);
}
