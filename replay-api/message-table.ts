// A streamed answer as CSV: a row per message, per loss and deletion, and one for the end.

import type { MessagePage } from '#archive/mod.ts';
import { type AnswerHead, CHUNK_BYTES_TARGET, type MessageWriter } from './message-writer.ts';
import { endRow, missingRow, TABLE_HEAD, writeRows } from './table-text.ts';

/** The media type. */
export const CSV_TYPE = 'text/csv';

/** Writes rows. */
export function tableWriter(head: AnswerHead): MessageWriter {
  return {
    type: `${CSV_TYPE}; charset=utf-8; header=present`,
    hasEstimates: 'never',
    begin: () => [Buffer.from(TABLE_HEAD)],
    page: (page) => pageRows(page, head),
    object: (told) => [Buffer.from(endRow(told))],
  };
}

function* pageRows(page: MessagePage, head: AnswerHead): Generator<Buffer> {
  const { order, sources } = head;
  const { framing } = head.channel;
  let text = '';
  for (const entry of page.entries) {
    const source = sources.of(entry.session);
    if (entry.kind !== 'messages') {
      text += missingRow(entry, source);
      continue;
    }
    let writtenCount = 0;
    while (writtenCount < entry.messageCount) {
      const charactersTarget = CHUNK_BYTES_TARGET - text.length;
      const written = writeRows(entry, { source, order, framing, charactersTarget }, writtenCount);
      writtenCount = written.writtenCount;
      text += written.text;
      if (text.length < CHUNK_BYTES_TARGET) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}
