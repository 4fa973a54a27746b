// Cursors: where an answer ended and what had been asked for, as one opaque text. A cursor carries
// its version, the channel and the whole question, so that it cannot be taken for an answer to
// another one, and a check, so that one with a mistake in it is refused rather than understood.
// It is no secret and allows nothing: who shows it is asked for his rights as everybody is.

import { createHash } from 'node:crypto';
import type { MessageRequest, PositionRequest } from '#archive/mod.ts';
import { BackcastError, isSessionId } from '#base/mod.ts';

const VERSION = 1;
const CHECK_BYTES = 6;

type Field = number | string | null;

/** The cursor that makes `request` of `channel` again. */
export function toCursor(channel: string, request: MessageRequest): string {
  const text = JSON.stringify([VERSION, channel, ...fieldsOf(request)]);
  return Buffer.concat([checkOf(text), Buffer.from(text)]).toString('base64url');
}

/**
 * The request that `cursor` carries. BACKCAST_CURSOR_INVALID if it is none of ours, or one of
 * another channel.
 */
export function fromCursor(channel: string, cursor: string): MessageRequest {
  const bytes = Buffer.from(cursor, 'base64url');
  const text = bytes.toString('utf8', CHECK_BYTES);
  if (!bytes.subarray(0, CHECK_BYTES).equals(checkOf(text))) {
    throw invalid('It is not one that an answer gave: take it over whole, as it was.');
  }
  const [version, ofChannel, ...fields] = parseFields(text);
  const request = version === VERSION ? requestOf(fields) : undefined;
  if (request === undefined) {
    throw invalid('It comes from another version: begin again by position.');
  }
  if (ofChannel !== channel) throw invalid('It belongs to another channel.');
  return request;
}

/**
 * The position behind which `cursor` goes on; BACKCAST_CURSOR_INVALID as fromCursor, and of a
 * question that asks for less than all that is behind it.
 */
export function positionInCursor(channel: string, cursor: string): number {
  const request = fromCursor(channel, cursor);
  if (request.kind === 'positions' && isEndless(request)) return request.after ?? 0;
  throw invalid('It goes on with a session, backwards, or only up to some end.');
}

function isEndless({ order, before, publishedToUs, archivedToUs }: PositionRequest): boolean {
  return (
    order === 'asc' &&
    before === undefined &&
    publishedToUs === undefined &&
    archivedToUs === undefined
  );
}

function fieldsOf(request: MessageRequest): Field[] {
  if (request.kind === 'sequences') {
    const { session, first, last, order } = request;
    return ['s', order, session, ...orNull([first, last])];
  }
  const { after, before, publishedFromUs, publishedToUs, order } = request;
  const { archivedFromUs, archivedToUs, seenThrough } = request;
  const published = [publishedFromUs, publishedToUs];
  const bounds = [after, before, ...published, archivedFromUs, archivedToUs, seenThrough];
  return ['p', order, ...orNull(bounds)];
}

/** Anybody can make the check, so what passes it may still be anything. */
function parseFields(text: string): readonly Field[] {
  try {
    const fields: unknown = JSON.parse(text);
    return Array.isArray(fields) && fields.every(isField) ? fields : [];
  } catch {
    return [];
  }
}

function isField(field: unknown): field is Field {
  return field === null || typeof field === 'string' || Number.isSafeInteger(field);
}

function requestOf([kind, order, ...rest]: readonly Field[]): MessageRequest | undefined {
  if (order !== 'asc' && order !== 'desc') return undefined;
  if (kind === 's') {
    const [session, ...bounds] = rest;
    if (typeof session !== 'string' || !isSessionId(session)) return undefined;
    const [first, last] = orUndefined(bounds);
    if (!isCount(first) || !isCount(last)) return undefined;
    return { kind: 'sequences', session, first, last, order };
  }
  if (kind !== 'p') return undefined;
  const [after, before, publishedFromUs, publishedToUs, archivedFromUs, archivedToUs, seenThrough] =
    orUndefined(rest);
  if (![after, before, seenThrough].every(isCount)) return undefined;
  const published = { publishedFromUs, publishedToUs };
  const bounds = { after, before, ...published, archivedFromUs, archivedToUs, seenThrough };
  return { kind: 'positions', ...bounds, order };
}

function orNull(numbers: readonly (number | undefined)[]): Field[] {
  return numbers.map((number) => number ?? null);
}

function orUndefined(fields: readonly Field[]): (number | undefined)[] {
  return fields.map((field) => (typeof field === 'number' ? field : undefined));
}

function isCount(number: number | undefined): boolean {
  return number === undefined || number >= 0;
}

function checkOf(text: string): Buffer {
  return createHash('sha256').update(text).digest().subarray(0, CHECK_BYTES);
}

function invalid(why: string): BackcastError {
  return new BackcastError('BACKCAST_CURSOR_INVALID', `Parameter "cursor" cannot be used. ${why}`);
}
