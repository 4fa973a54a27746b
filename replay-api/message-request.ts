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
import { fromCursor } from './message-cursor.ts';

const BY_POSITION = [
  'after',
  'before',
  'seenThrough',
  'from',
  'to',
  'archivedFrom',
  'archivedTo',
] as const;
const BY_SEQUENCE = ['session', 'first', 'last'] as const;

/**
 * The request that `query` makes of `channel`. BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED,
 * BACKCAST_CURSOR_INVALID.
 */
export function toMessageRequest(channel: string, query: MessagesQuery): MessageRequest {
  if (query.cursor !== undefined) {
    assertNoneBeside('cursor', query, [...BY_POSITION, ...BY_SEQUENCE, 'order'], WHY_CURSOR);
    return fromCursor(channel, query.cursor);
  }
  const order = query.order ?? 'asc';
  if (query.session !== undefined) {
    assertNoneBeside('session', query, BY_POSITION, WHY_SESSION);
    const { first, last } = query;
    assertNotInverted('first', first, 'last', last);
    return { kind: 'sequences', session: toSessionId(query.session), first, last, order };
  }
  assertNoSequences(query);
  const { after, before, seenThrough } = query;
  const publishedFromUs = toInstantUs(query.from);
  const publishedToUs = toInstantUs(query.to);
  const archivedFromUs = toInstantUs(query.archivedFrom);
  const archivedToUs = toInstantUs(query.archivedTo);
  assertNotInverted('after', after, 'before', before);
  assertNotInverted('from', publishedFromUs, 'to', publishedToUs);
  assertNotInverted('archivedFrom', archivedFromUs, 'archivedTo', archivedToUs);
  const published = { publishedFromUs, publishedToUs };
  const bounds = { after, before, seenThrough, ...published, archivedFromUs, archivedToUs };
  return { kind: 'positions', ...bounds, order };
}

/** What of a query is about the answer rather than about what is asked for. */
export type AnswerQuery = Pick<MessagesQuery, 'limit' | 'decode' | 'estimate'>;

/** The query that makes `request` again, answered as `answer` said. */
export function toQueryString(request: MessageRequest, answer: AnswerQuery): string {
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
    add('archivedFrom', toInstantText(request.archivedFromUs));
    add('archivedTo', toInstantText(request.archivedToUs));
  }
  if (request.order === 'desc') add('order', 'desc');
  add('limit', answer.limit);
  add('decode', answer.decode);
  add('estimate', answer.estimate);
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

const WHY_SESSION = 'a session is read by "first" and "last".';
const WHY_CURSOR = 'a cursor says by itself what was asked for.';

function assertNoneBeside(
  given: string,
  query: MessagesQuery,
  names: readonly (keyof MessagesQuery)[],
  why: string,
): void {
  const other = names.find((name) => query[name] !== undefined);
  if (other === undefined) return;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `"${given}" and "${other}" exclude each other: ${why}`,
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
