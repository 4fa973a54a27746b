// Reads the bodies that are JSON. Total: what has not the members that it should have is told apart
// from what has, by undefined, and members that nobody knows are passed over.

import {
  isSessionId,
  LOSS_CAUSES,
  type LossCause,
  parseInstant,
  type SessionId,
} from '#base/mod.ts';
import {
  STREAM_STATUSES,
  type StreamBegin,
  type StreamDeletion,
  type StreamEnd,
  type StreamEstimate,
  type StreamLoss,
  type StreamOrigin,
  type StreamRange,
  type StreamStatus,
} from './entries.ts';
import { FRAME_KINDS, STREAM_VERSION } from './layout.ts';

/** Where a session comes from. */
export interface StreamSession extends StreamOrigin {
  readonly kind: 'session';
  readonly session: SessionId;
}

/** An entry whose body is JSON. */
export type JsonEntry =
  | StreamBegin
  | StreamSession
  | StreamLoss
  | StreamDeletion
  | StreamRange
  | StreamEstimate
  | StreamEnd;

type Members = Readonly<Record<string, unknown>>;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Thrown and caught in this file only: a member is not what it should be. */
class Unfit extends Error {}

/** The entry of a frame of `kind`; undefined if `body` is not what such a frame has. */
export function decodeJsonFrame(kind: number, body: Uint8Array): JsonEntry | undefined {
  const read = READERS.get(kind);
  if (read === undefined) return undefined;
  try {
    const members: unknown = JSON.parse(decoder.decode(body));
    if (typeof members !== 'object' || members === null) return undefined;
    return read(members as Members);
  } catch (error) {
    const isBody =
      error instanceof Unfit || error instanceof SyntaxError || error instanceof TypeError;
    if (isBody) return undefined;
    throw error;
  }
}

const READERS: ReadonlyMap<number, (members: Members) => JsonEntry> = new Map([
  [FRAME_KINDS.begin, readBegin],
  [FRAME_KINDS.session, readSession],
  [FRAME_KINDS.loss, readLoss],
  [FRAME_KINDS.deletion, readDeletion],
  [FRAME_KINDS.range, readRange],
  [FRAME_KINDS.estimate, readEstimate],
  [FRAME_KINDS.end, readEnd],
] as [number, (members: Members) => JsonEntry][]);

function readBegin(members: Members): StreamBegin {
  if (members['version'] !== STREAM_VERSION) throw new Unfit();
  return {
    kind: 'begin',
    channel: text(members, 'channel'),
    framing: word(members, 'framing', ['native', 'raw', 'zmq']),
    order: word(members, 'order', ['asc', 'desc']),
    archivedThrough: count(members, 'archivedThrough'),
  };
}

function readSession(members: Members): StreamSession {
  return {
    kind: 'session',
    session: session(members),
    source: source(members),
    isForeign: members['isForeign'] === true,
  };
}

function readLoss(members: Members): StreamLoss {
  return {
    kind: 'loss',
    session: session(members),
    source: source(members),
    first: count(members, 'first'),
    last: count(members, 'last'),
    packets: orNull(members, 'packets', count),
    cause: word(members, 'cause', Object.keys(LOSS_CAUSES) as LossCause[]),
    afterPosition: count(members, 'afterPosition'),
    detectedAtUs: instant(members, 'detectedAt'),
    declaredAtUs: instant(members, 'declaredAt'),
  };
}

function readDeletion(members: Members): StreamDeletion {
  return {
    kind: 'deletion',
    session: session(members),
    source: source(members),
    first: count(members, 'first'),
    last: count(members, 'last'),
    messages: orNull(members, 'messages', count),
    firstPosition: count(members, 'firstPosition'),
    lastPosition: count(members, 'lastPosition'),
    deletedAtUs: instant(members, 'deletedAt'),
    policy: text(members, 'policy'),
  };
}

function readRange(members: Members): StreamRange {
  return {
    kind: 'range',
    session: session(members),
    first: count(members, 'first'),
    last: count(members, 'last'),
    status: status(members),
    untoldFrom: orNull(members, 'untoldFrom', count),
  };
}

function readEstimate(members: Members): StreamEstimate {
  return {
    kind: 'estimate',
    remaining: count(members, 'remaining'),
    rate: orNull(members, 'rate', count),
    liveRate: orNull(members, 'liveRate', count),
    etaSeconds: orNull(members, 'etaSeconds', count),
    isCatchingUp: members['isCatchingUp'] !== false,
  };
}

function readEnd(members: Members): StreamEnd {
  return {
    kind: 'end',
    status: status(members),
    count: count(members, 'count'),
    lastPosition: orNull(members, 'lastPosition', count),
    archivedThrough: count(members, 'archivedThrough'),
    cursor: orNull(members, 'cursor', text),
    hasMore: orNull(members, 'next', text) !== null,
    askAgainMs: orNull(members, 'askAgainMs', count),
  };
}

function text(members: Members, name: string): string {
  const value = members[name];
  if (typeof value !== 'string') throw new Unfit();
  return value;
}

function count(members: Members, name: string): number {
  const value = members[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Unfit();
  return value;
}

function instant(members: Members, name: string): number {
  const us = parseInstant(text(members, name));
  if (us === undefined) throw new Unfit();
  return us;
}

function word<Word extends string>(members: Members, name: string, words: readonly Word[]): Word {
  const value = text(members, name);
  const found = words.find((one) => one === value);
  if (found === undefined) throw new Unfit();
  return found;
}

function status(members: Members): StreamStatus {
  return word(members, 'status', STREAM_STATUSES);
}

function session(members: Members): SessionId {
  const value = text(members, 'session');
  if (!isSessionId(value)) throw new Unfit();
  return value;
}

function source(members: Members): string | null {
  return orNull(members, 'source', text);
}

function orNull<Value>(
  members: Members,
  name: string,
  read: (members: Members, name: string) => Value,
): Value | null {
  return members[name] === null ? null : read(members, name);
}
