// An export as text: exactly the lines of NDJSON, or the rows of CSV, with which the API answers a
// request for messages.

import type { Deletion, Loss, MessageRun } from '#archive/mod.ts';
import { missingText, type RunStyle, type RunText, writeRun } from '../message-text.ts';
import { endRow, missingRow, TABLE_HEAD, writeRows } from '../table-text.ts';
import type { FileSubject, FormatWriter, StreamEnd } from './format-writer.ts';

/** How a kind of text has what an export is made of. */
interface TextForm {
  readonly head: string;
  readonly run: (run: MessageRun, style: RunStyle, writtenCount: number) => RunText;
  readonly missing: (missing: Loss | Deletion, source: string | null) => string;
  readonly end: (end: StreamEnd) => string;
}

/** Text that becomes bytes at once, in UTF-16 units. */
const CHUNK_CHARACTERS_TARGET = 65_536;

const LINES: TextForm = {
  head: '',
  run: writeRun,
  missing: (missing, source) => `${missingText(missing, source)}\n`,
  end: ({ status, count, lastPosition, archivedThrough, cursor, askAgainMs }) => {
    const complete = status === 'complete';
    const facts = { kind: 'end', complete, status, count, lastPosition, archivedThrough };
    return `${JSON.stringify({ ...facts, cursor, next: null, askAgainMs })}\n`;
  },
};

const TABLE: TextForm = {
  head: TABLE_HEAD,
  run: writeRows,
  missing: missingRow,
  end: ({ status, count, lastPosition }) => endRow({ kind: 'end', status, count, lastPosition }),
};

/** Writes NDJSON or CSV. Keeps nothing back but the head, which goes with whatever comes first. */
export class TextWriter implements FormatWriter {
  readonly #form: TextForm;
  readonly #style: Omit<RunStyle, 'source'>;
  #head: string;

  constructor(format: 'ndjson' | 'csv', { framing }: FileSubject) {
    this.#form = format === 'csv' ? TABLE : LINES;
    this.#head = this.#form.head;
    const charactersTarget = CHUNK_CHARACTERS_TARGET;
    this.#style = { order: 'asc', framing, terminator: '\n', charactersTarget };
  }

  *addRun(run: MessageRun, source: string | null): Iterable<Uint8Array> {
    const style = { ...this.#style, source };
    for (let count = 0; count < run.messageCount; ) {
      const { text, writtenCount } = this.#form.run(run, style, count);
      count = writtenCount;
      yield Buffer.from(this.#takeHead() + text);
    }
  }

  *addMissing(missing: Loss | Deletion, source: string | null): Iterable<Uint8Array> {
    yield Buffer.from(this.#takeHead() + this.#form.missing(missing, source));
  }

  *finish(end?: StreamEnd): Iterable<Uint8Array> {
    const text = this.#takeHead() + (end === undefined ? '' : this.#form.end(end));
    if (text !== '') yield Buffer.from(text);
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }
}
