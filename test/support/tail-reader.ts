// Reads a tail as a program would that knows server-sent events, frame by frame, and hangs up when
// it is disposed of.

import assert from 'node:assert/strict';
import { createParser } from 'eventsource-parser';

/** A frame as it came; heartbeats are left out. */
export interface ReadFrame {
  readonly kind: string;
  /** What Last-Event-ID would be. */
  readonly id: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A tail that is being read. */
export interface TailReader extends AsyncDisposable {
  readonly response: Response;
  /** The next frame; fails after 60 s without one, or if the tail ends. */
  next(): Promise<ReadFrame>;
  /** Frames up to and with the first of which `isWanted`. */
  through(isWanted: (frame: ReadFrame) => boolean): Promise<ReadFrame[]>;
  /** The id of the last frame with one that `next` has given. */
  readonly lastId: string;
  /** Comments, which heartbeats are, so far. */
  readonly commentCount: number;
}

const FRAME_MS_MAX = 60_000;

/** Begins to read the tail at `url`, behind `lastId` if given, with a token if given. */
export async function openTail(url: string, lastId?: string, token?: string): Promise<TailReader> {
  const hangingUp = new AbortController();
  const headers = {
    accept: 'text/event-stream',
    ...(lastId && { 'last-event-id': lastId }),
    ...(token && { authorization: `Bearer ${token}` }),
  };
  const { signal } = hangingUp;
  const response = await fetch(url, { headers, signal });
  const frames: ReadFrame[] = [];
  let commentCount = 0;
  let latestId = lastId ?? '';
  const parser = createParser({
    onEvent: ({ event = '', id, data: text }) => {
      const body = JSON.parse(text) as Record<string, unknown>;
      frames.push({ kind: event, id, body });
    },
    onComment: () => {
      commentCount += 1;
    },
  });
  const decoder = new TextDecoder();
  const bytes = response.body?.getReader();
  assert.ok(bytes !== undefined);
  const next = async (): Promise<ReadFrame> => {
    const timer = setTimeout(
      () => hangingUp.abort(new Error('no frame within 60 s')),
      FRAME_MS_MAX,
    );
    try {
      while (frames.length === 0) {
        const { done, value } = await bytes.read();
        if (done) throw new Error('the tail ended');
        parser.feed(decoder.decode(value, { stream: true }));
      }
    } finally {
      clearTimeout(timer);
    }
    const [frame] = frames.splice(0, 1);
    assert.ok(frame !== undefined);
    latestId = frame.id ?? latestId;
    return frame;
  };
  return {
    response,
    next,
    through: async (isWanted) => {
      const read: ReadFrame[] = [];
      for (;;) {
        const frame = await next();
        read.push(frame);
        if (isWanted(frame)) return read;
      }
    },
    get lastId() {
      return latestId;
    },
    get commentCount() {
      return commentCount;
    },
    [Symbol.asyncDispose]: async () => {
      hangingUp.abort();
      await bytes.closed.catch(() => undefined);
    },
  };
}

/** Whether `frame` is the message at `position`. */
export function isMessageAt(position: number): (frame: ReadFrame) => boolean {
  return ({ kind, body }) => kind === 'message' && body['position'] === position;
}

/** Whether `frame` says that the tail is live. */
export function isLive({ body }: ReadFrame): boolean {
  return body['state'] === 'live';
}
