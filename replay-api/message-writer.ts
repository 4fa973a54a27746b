// What the forms of a streamed answer have in common: each writes the same entries in its own way.
// A writer makes bytes and knows neither the database nor the connection.

import type { Channel, MessagePage } from '#archive/mod.ts';
import type { Sources } from './message-sources.ts';

/** What an answer is about, whatever its form. */
export interface AnswerHead {
  readonly channel: Channel;
  readonly order: 'asc' | 'desc';
  readonly archivedThrough: number;
  readonly sources: Sources;
  readonly decode: 'json' | undefined;
}

/** What is told in JSON wherever it is told, with `kind` among its members. */
export type ToldObject = Readonly<Record<string, unknown>> & {
  readonly kind: 'range' | 'estimate' | 'end';
};

/** Writes an answer in one form. What it gives is to be sent in its order. */
export interface MessageWriter {
  readonly type: string;
  /** Whether it has a place for estimates; `asked` if only for who asks. */
  readonly hasEstimates: 'always' | 'asked' | 'never';
  begin(): readonly Uint8Array[];
  /** A page whose sessions have been loaded into the sources. */
  page(page: MessagePage): Iterable<Uint8Array>;
  /** A range that has been told, an estimate, or the end. */
  object(told: ToldObject): readonly Uint8Array[];
}

/** Pieces up to this size are put together; larger ones are sent as they are. */
const SMALL_BYTES_MAX = 16_384;
/** What is handed to the connection at once, about. */
export const CHUNK_BYTES_TARGET = 65_536;

/** `pieces` in as many chunks as are worth sending one by one; none is copied that is large. */
export function* chunksOf(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  for (const piece of pieces) {
    if (piece.length <= SMALL_BYTES_MAX && smallBytes < CHUNK_BYTES_TARGET) {
      small.push(piece);
      smallBytes += piece.length;
      continue;
    }
    if (small.length > 0) yield Buffer.concat(small, smallBytes);
    small = [];
    smallBytes = 0;
    yield piece;
  }
  if (small.length > 0) yield Buffer.concat(small, smallBytes);
}
