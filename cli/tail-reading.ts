// Reads a tail of the replay API for as long as anybody wants it: connects again when the
// connection is lost, behind the last position it has, so that nothing is missed and no message
// comes twice.

import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { BackcastError, ERRORS, type ErrorCode, rootMessage } from '#base/mod.ts';
import { requestApi } from './api-request.ts';
import type { CommandContext } from './command.ts';

/** One frame of a tail. */
export interface TailFrame {
  /** message, loss, deletion, session or state. */
  readonly kind: string;
  /** The object that it carries, as JSON. */
  readonly text: string;
}

/** What to read. */
export interface TailReading {
  readonly channel: string;
  /** Begin behind this position; undefined: with what comes next. */
  readonly after: number | undefined;
}

/** Longer than the server is ever silent: a connection that is, is dead. */
const SILENCE_MS_MAX = 20_000;
/** Between two attempts: doubling. */
const RETRY_MS = { first: 500, last: 5_000 };

/**
 * The frames, until the signal of `context` fires. The first connection must succeed; a later one
 * that does not is tried again, but for what trying again does not mend, as BACKCAST_HISTORY_GONE.
 */
export async function* readTail(
  context: CommandContext,
  { channel, after }: TailReading,
): AsyncGenerator<TailFrame> {
  let position = after;
  let attempts = 0;
  let isFirst = true;
  for (;;) {
    try {
      for await (const { id, ...frame } of readConnection(context, channel, position)) {
        isFirst = false;
        attempts = 0;
        position = id ?? position;
        yield frame;
      }
      throw lost('the server ended it', undefined);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof BackcastError) || isFirst || !error.isRetryable) throw error;
      if (attempts === 0) context.note(`${error.message}; connecting again`);
      attempts += 1;
      const backOffMs = Math.min(RETRY_MS.first * 2 ** (attempts - 1), RETRY_MS.last);
      await delay(backOffMs, undefined, { signal: context.signal });
    }
  }
}

interface PlacedFrame extends TailFrame {
  readonly id: number | undefined;
}

async function* readConnection(
  context: CommandContext,
  channel: string,
  after: number | undefined,
): AsyncGenerator<PlacedFrame> {
  const search = after === undefined ? '' : `?after=${after}`;
  const path = `/v1/channels/${channel}/tail${search}`;
  const response = await requestApi(context, path, 'text/event-stream');
  const decoder = new TextDecoder();
  const frames: PlacedFrame[] = [];
  const parser = createParser({
    onEvent: ({ event = 'message', id, data: text }) => {
      frames.push({ kind: event, text, id: id === undefined ? undefined : Number(id) });
    },
  });
  for await (const bytes of chunksOf(response, context.signal)) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    for (const frame of frames.splice(0)) {
      if (frame.kind === 'end') throw endError(frame.text);
      yield frame;
    }
  }
}

/** The bytes of `response` until it ends; BACKCAST_API_UNREACHABLE when it breaks off. */
async function* chunksOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let isSilent = false;
  const hangUp = (): void => void reader.cancel().catch(() => undefined);
  const giveUp = (): void => {
    isSilent = true;
    hangUp();
  };
  signal.addEventListener('abort', hangUp);
  try {
    for (;;) {
      const timer = setTimeout(giveUp, SILENCE_MS_MAX);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) break;
      yield value;
    }
  } catch (cause) {
    throw lost(rootMessage(cause), cause);
  } finally {
    signal.removeEventListener('abort', hangUp);
    hangUp();
  }
  if (isSilent) throw lost(`it was silent for ${SILENCE_MS_MAX / 1_000} s`, undefined);
}

function lost(reason: string, cause: unknown): BackcastError {
  const message = `the connection to the replay API is lost: ${reason}`;
  return new BackcastError('BACKCAST_API_UNREACHABLE', message, { cause });
}

/** What the last frame of a tail says; to connect again mends a server that stopped. */
function endError(text: string): BackcastError {
  const { code, detail } = JSON.parse(text) as { code: ErrorCode | null; detail: string };
  const isKnown = code !== null && Object.hasOwn(ERRORS, code);
  return isKnown ? new BackcastError(code, detail) : lost(detail, undefined);
}
