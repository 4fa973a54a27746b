// GET …/tail, the server-sent stream of what is archived, as a tail tells it. Reconnects nobody:
// when the stream ends it has failed, and its owner asks again behind what has come.

import { createParser } from 'eventsource-parser';
import { BackcastError } from '#base/mod.ts';
import { bodyChunks, brokenOff } from './http-body.ts';
import { type Line, LineEntries } from './http-lines.ts';
import { queryText } from './http-query.ts';
import { askReplayApi, isErrorCode, type ReplayApi } from './http-request.ts';
import type { TailEntry } from './replay-source.ts';

/** Which tail. */
export interface TailQuestion {
  readonly channel: string;
  readonly afterPosition: number;
  readonly signal?: AbortSignal | undefined;
}

const TAIL_TYPE = 'text/event-stream';
/** Three heartbeats of the server. */
const SILENCE_MS_MAX = 30_000;
/** A message of 64 MiB, the largest there can be, in base64 and with some room. */
const FRAME_CHARS_MAX = 96 * 1_048_576;
const TOLD = new Set(['message', 'loss', 'deletion', 'session']);

/**
 * What is archived behind `afterPosition`, as it comes; first an end there, once the server has
 * answered. Never ends by itself. Errors: those of
 * askReplayApi; BACKCAST_ANSWER_TRUNCATED when the stream ends or falls silent, and the error that
 * the server gives for ending it; BACKCAST_ARCHIVE_REWOUND when the archive ends before where the
 * reader is.
 */
export async function* tailEntries(
  api: ReplayApi,
  { channel, afterPosition, signal }: TailQuestion,
): AsyncGenerator<TailEntry, void, void> {
  const path = `/v1/channels/${channel}/tail${queryText({ after: afterPosition })}`;
  const response = await askReplayApi(api, { path, accept: TAIL_TYPE, signal });
  // Of a quiet channel nothing else may come for hours.
  yield { kind: 'end', archivedThrough: afterPosition };
  const stream = new TailStream(afterPosition);
  const decoder = new TextDecoder();
  for await (const chunk of bodyChunks(response, { signal, silenceMsMax: SILENCE_MS_MAX })) {
    yield* stream.feed(decoder.decode(chunk, { stream: true }));
    if (stream.end !== undefined) throw whyEnded(stream.end);
    if (stream.rewound !== undefined) throw rewound(stream.rewound);
  }
  throw brokenOff('its connection was closed', undefined);
}

/** Takes the stream apart. */
class TailStream {
  readonly #entries = new LineEntries();
  readonly #parser = createParser({
    onEvent: ({ event: kind = 'message', data: text, id }) => this.#take(kind, text, id),
    maxBufferSize: FRAME_CHARS_MAX,
  });
  #through: number;
  #toldThrough: number;
  #end: Line | undefined;
  #rewound: Line | undefined;

  constructor(afterPosition: number) {
    this.#through = afterPosition;
    this.#toldThrough = afterPosition;
  }

  /** What the server said when it ended the tail, if it did. */
  get end(): Line | undefined {
    return this.#end;
  }

  /** What the server said when the archive turned out to end before where the reader is. */
  get rewound(): Line | undefined {
    return this.#rewound;
  }

  /** What `text` completes; an end when it has brought the tail on. */
  *feed(text: string): Generator<TailEntry, void, void> {
    this.#parser.feed(text);
    yield* this.#entries.take();
    if (this.#through <= this.#toldThrough) return;
    this.#toldThrough = this.#through;
    yield { kind: 'end', archivedThrough: this.#through };
  }

  #take(kind: string, text: string, id: string | undefined): void {
    if (this.#rewound !== undefined) return;
    const position = Number(id ?? Number.NaN);
    if (Number.isSafeInteger(position)) this.#through = Math.max(this.#through, position);
    if (kind === 'end') this.#end = parse(text);
    if (kind === 'state' && parse(text)['state'] === 'rewound') this.#rewound = parse(text);
    if (TOLD.has(kind)) this.#entries.add({ kind, ...parse(text) });
  }
}

function rewound({ position }: Line): BackcastError {
  return new BackcastError(
    'BACKCAST_ARCHIVE_REWOUND',
    `The channel ends with position ${Number(position)}, before the place where this goes on. If ` +
      'so much was read, the archive went back to an earlier moment since: begin again at a time ' +
      'before it did. Sessions and sequences mean what they meant.',
  );
}

function parse(text: string): Line {
  try {
    return JSON.parse(text) as Line;
  } catch (cause) {
    throw brokenOff('what it holds is not JSON', cause);
  }
}

function whyEnded({ code, detail }: Line): BackcastError {
  if (!isErrorCode(code)) return brokenOff('its server stops', undefined);
  return new BackcastError(code, String(detail));
}
