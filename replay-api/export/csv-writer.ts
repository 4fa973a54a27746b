// An export as CSV (RFC 4180): a header, a line per message, and in a streamed file a line per loss
// and deletion and one that ends it. A text that could be taken for something else is quoted, and
// bytes that are no UTF-8 stand as base64. A spreadsheet takes a payload that begins with an equals
// sign for a formula: what was published is not changed for its sake.

import { isUtf8 } from 'node:buffer';
import { type Deletion, firstPositionOf, type Loss, type MessageRun } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import type { FormatWriter, StreamEnd } from './format-writer.ts';

const COLUMNS =
  'kind,position,session,source,sequence,lastSequence,publishedAt,archivedAt,encoding,payload,' +
  'reason';
/** Text that becomes bytes at once, in UTF-16 units. */
const CHUNK_CHARACTERS_TARGET = 65_536;

/** Writes CSV. Keeps nothing back but the header, which goes with whatever comes first. */
export class CsvWriter implements FormatWriter {
  #head = `${COLUMNS}\r\n`;

  *addRun(run: MessageRun, source: string | null): Iterable<Uint8Array> {
    const { segment, firstIndex, messageCount, firstSequence } = run;
    const firstPosition = firstPositionOf(run);
    const origin = `,${run.session},${source === null ? '' : field(source)},`;
    const archived = `,${formatInstant(run.archivedAtUs)},`;
    let text = this.#takeHead();
    for (let step = 0; step < messageCount; step += 1) {
      const index = firstIndex + step;
      const { bytes, payloadStarts, payloadEnds, publishedAtUs } = segment;
      text += `message,${firstPosition + step}${origin}${firstSequence + step},,`;
      text += formatInstant(publishedAtUs[index]) + archived;
      text += `${payloadFields(bytes.subarray(payloadStarts[index], payloadEnds[index]))},\r\n`;
      if (text.length < CHUNK_CHARACTERS_TARGET) continue;
      yield Buffer.from(text);
      text = '';
    }
    if (text !== '') yield Buffer.from(text);
  }

  *addMissing(missing: Loss | Deletion, source: string | null): Iterable<Uint8Array> {
    const { kind, session, first, last } = missing;
    const position = kind === 'loss' ? missing.afterPosition : missing.firstPosition;
    const reason = kind === 'loss' ? missing.cause : field(missing.policy);
    const name = source === null ? '' : field(source);
    const line = `${kind},${position},${session},${name},${first},${last},,,,,${reason}\r\n`;
    yield Buffer.from(this.#takeHead() + line);
  }

  *finish(end?: StreamEnd): Iterable<Uint8Array> {
    const line = end === undefined ? '' : `end,${end.lastPosition ?? ''},,,,,,,,,${end.status}\r\n`;
    const text = this.#takeHead() + line;
    if (text !== '') yield Buffer.from(text);
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = '';
    return head;
  }
}

/** The fields `encoding` and `payload`. */
function payloadFields(bytes: Buffer): string {
  return isUtf8(bytes) ? `utf8,${field(bytes.toString())}` : `base64,${bytes.toString('base64')}`;
}

/** `text` as one field, in quotes where something in it means something in CSV. */
function field(text: string): string {
  return /[",\r\n\0]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
