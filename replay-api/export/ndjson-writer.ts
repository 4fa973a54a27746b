// An export as NDJSON: exactly the lines with which the API answers a request for messages.

import type { Deletion, Loss, MessageRun } from '#archive/mod.ts';
import { deletionText, lossText, writeRun } from '../message-text.ts';
import type { FileSubject, FormatWriter, StreamEnd } from './format-writer.ts';

/** Text that becomes bytes at once, in UTF-16 units. */
const CHUNK_CHARACTERS_TARGET = 65_536;

/** Writes NDJSON. Keeps nothing back. */
export class NdjsonWriter implements FormatWriter {
  readonly #subject: FileSubject;

  constructor(subject: FileSubject) {
    this.#subject = subject;
  }

  *addRun(run: MessageRun, source: string | null): Iterable<Uint8Array> {
    const { framing } = this.#subject;
    const style = {
      source,
      order: 'asc',
      framing,
      terminator: '\n',
      charactersTarget: CHUNK_CHARACTERS_TARGET,
    } as const;
    for (let count = 0; count < run.messageCount; ) {
      const { text, writtenCount } = writeRun(run, style, count);
      count = writtenCount;
      yield Buffer.from(text);
    }
  }

  *addMissing(missing: Loss | Deletion, source: string | null): Iterable<Uint8Array> {
    yield Buffer.from(`${missingText(missing, source)}\n`);
  }

  *finish(end?: StreamEnd): Iterable<Uint8Array> {
    if (end === undefined) return;
    const { status, count, lastPosition, archivedThrough, cursor, askAgainMs } = end;
    const complete = status === 'complete';
    const facts = { kind: 'end', complete, status, count, lastPosition, archivedThrough };
    yield Buffer.from(`${JSON.stringify({ ...facts, cursor, next: null, askAgainMs })}\n`);
  }
}

/** A loss or a deletion as a line of the API, without its end. */
export function missingText(missing: Loss | Deletion, source: string | null): string {
  return missing.kind === 'loss' ? lossText(missing, source) : deletionText(missing, source);
}
