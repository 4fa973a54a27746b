// The body of an answer, chunk by chunk, with a bound on the time in which nothing comes. Only
// waiting counts: a reader may take as long as it likes between two chunks, which is what holds the
// server back.

import { BackcastError } from '#base/mod.ts';

/** How a body is read. */
export interface BodyReading {
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the next chunk. */
  readonly silenceMsMax: number;
}

/**
 * The chunks of the body of `response`; leaving the loop lets go of the connection. Errors:
 * BACKCAST_ANSWER_TRUNCATED when it breaks off or falls silent, the reason of `signal`.
 */
export async function* bodyChunks(
  response: Response,
  { signal, silenceMsMax }: BodyReading,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { value, done } = await nextChunk(reader, silenceMsMax);
      signal?.throwIfAborted();
      if (done) return;
      yield value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof BackcastError ? cause : brokenOff('its connection broke', cause);
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

type Chunk = Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array>['read']>>;

async function nextChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  silenceMsMax: number,
): Promise<Chunk> {
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    silence.reject(brokenOff(`nothing came for ${silenceMsMax / 1_000} s`, undefined));
  }, silenceMsMax);
  try {
    return await Promise.race([reader.read(), silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error of an answer that ended before its end. */
export function brokenOff(reason: string, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_ANSWER_TRUNCATED',
    `The answer of the replay API broke off: ${reason}. Ask again behind what has come.`,
    { cause },
  );
}
