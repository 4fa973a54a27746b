// An answer to GET …/messages, as a reading tells it: runs, losses and deletions in the order of
// positions, and an end. An answer without its end has failed.

import { brokenOff, bodyChunks } from './http-body.ts';
import { type JsonObject, LineEntries } from './http-lines.ts';
import { askReplayApi, type ReplayApi } from './http-request.ts';
import type { ReplayedDeletion, ReplayedLoss, ReplayedRun } from './replay-source.ts';

/** How an answer ended. */
export interface AnswerEnd {
  readonly kind: 'end';
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  readonly archivedThrough: number;
  /** Whether it stopped at its limit, with more behind it. */
  readonly hasMore: boolean;
}

/** What an answer tells; the end last, and once. */
export type AnswerEntry = ReplayedRun | ReplayedLoss | ReplayedDeletion | AnswerEnd;

const ANSWER_TYPE = 'application/x-ndjson';
/** Of a server that reads page after page, with its own bound on each. */
const SILENCE_MS_MAX = 20_000;
const NEWLINE = 10;

/**
 * What is answered at `path`. Errors: those of askReplayApi; BACKCAST_ANSWER_TRUNCATED when it ends
 * before its end.
 */
export async function* replayEntries(
  api: ReplayApi,
  path: string,
  signal?: AbortSignal,
): AsyncGenerator<AnswerEntry, void, void> {
  // What is sent fast enough uncompressed need not cost a core on either side.
  const headers = { 'accept-encoding': 'identity' };
  const response = await askReplayApi(api, { path, accept: ANSWER_TYPE, headers, signal });
  const entries = new LineEntries();
  for await (const lines of lineGroups(
    bodyChunks(response, { signal, silenceMsMax: SILENCE_MS_MAX }),
  )) {
    for (const line of lines) {
      if (line['kind'] === 'end') {
        yield* entries.take() as readonly AnswerEntry[];
        yield endOf(line);
        return;
      }
      entries.add(line);
    }
    yield* entries.take() as readonly AnswerEntry[];
  }
  throw brokenOff('its end is missing', undefined);
}

function endOf(line: JsonObject): AnswerEnd {
  const { status, archivedThrough, next } = line;
  return {
    kind: 'end',
    status: status as AnswerEnd['status'],
    archivedThrough: Number(archivedThrough),
    hasMore: typeof next === 'string',
  };
}

/** The lines of each chunk that are whole by its end. */
async function* lineGroups(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly JsonObject[], void, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    rest = bytes.subarray(end);
    const texts = bytes.toString('utf8', 0, end).split('\n').slice(0, -1);
    yield texts.map(parseLine);
  }
}

function parseLine(text: string): JsonObject {
  try {
    return JSON.parse(text) as JsonObject;
  } catch (cause) {
    throw brokenOff('a line of it is not JSON', cause);
  }
}
