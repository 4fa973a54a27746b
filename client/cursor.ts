// Where a reader is: through which position everything was told to it, and of each session the
// first sequence that was not. As text it survives a restart and names its channel, so that it
// cannot be used for another one. Opaque: only this file knows what is in it.

import { BackcastError, isSessionId, type SessionId } from '#base/mod.ts';
import type { SessionBegin } from './merge.ts';

/** What a cursor says. */
export interface CursorPlace {
  /** Undefined where no archive has said what positions there are. */
  readonly position: number | undefined;
  readonly begin: SessionBegin;
  readonly nexts: ReadonlyMap<SessionId, number>;
  /** Those of them of which it was told that they are over. */
  readonly ended: ReadonlySet<SessionId>;
}

const PREFIX = 'bc1.';
/** Stands behind a session that is over. */
const ENDED = 1;
const BEGINS: readonly SessionBegin[] = ['one', 'archive', 'heard'];

/** The cursor as text. */
export function cursorText(channel: string, place: CursorPlace): string {
  const { position, begin, nexts, ended } = place;
  const sessions = [...nexts].map(([session, next]) => {
    return ended.has(session) ? [session, next, ENDED] : [session, next];
  });
  const content = [channel, position ?? null, begin, sessions];
  return PREFIX + Buffer.from(JSON.stringify(content)).toString('base64url');
}

/** What `text` says; BACKCAST_CURSOR_INVALID if it is not a cursor of this channel. */
export function parseCursor(channel: string, text: string): CursorPlace {
  const [name, position, begin, nexts, ...rest] = contentOf(text);
  if (typeof name === 'string' && name !== channel) {
    throw new BackcastError(
      'BACKCAST_CURSOR_INVALID',
      `The cursor is one of channel "${name}". A cursor serves only the channel it was taken on; ` +
        `this is "${channel}".`,
    );
  }
  const knownBegin = BEGINS.find((one) => one === begin);
  const isSound =
    typeof name === 'string' &&
    rest.length === 0 &&
    (position === null || isCount(position)) &&
    Array.isArray(nexts) &&
    nexts.every(isNext);
  if (!isSound || knownBegin === undefined) throw unreadable();
  return {
    position: position ?? undefined,
    begin: knownBegin,
    nexts: new Map(nexts.map(([session, next]) => [session, next])),
    ended: new Set(nexts.flatMap(([session, , ended]) => (ended === ENDED ? [session] : []))),
  };
}

function contentOf(text: unknown): readonly unknown[] {
  if (typeof text !== 'string' || !text.startsWith(PREFIX)) throw unreadable();
  try {
    const json = Buffer.from(text.slice(PREFIX.length), 'base64url').toString();
    const content: unknown = JSON.parse(json);
    if (Array.isArray(content)) return content;
  } catch (error) {
    throw unreadable(error);
  }
  throw unreadable();
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isNext(value: unknown): value is [SessionId, number, typeof ENDED | undefined] {
  if (!Array.isArray(value)) return false;
  const [session, next, ended, ...rest]: readonly unknown[] = value;
  const isNamed = typeof session === 'string' && isSessionId(session);
  const isEnded = ended === undefined || ended === ENDED;
  return isNamed && isCount(next) && next > 0 && isEnded && rest.length === 0;
}

function unreadable(cause?: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_CURSOR_INVALID',
    'This is not a cursor, or only a part of one. Give it back exactly as it was taken, or begin ' +
      'at a position or a time.',
    { cause },
  );
}
