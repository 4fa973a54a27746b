// A streamed answer as NDJSON: one JSON object per line.

import type { MessagePage } from '#archive/mod.ts';
import { deletionText, lossText, writeRun } from './message-text.ts';
import { type AnswerHead, CHUNK_BYTES_TARGET, type MessageWriter } from './message-writer.ts';

/** The media type. */
export const NDJSON_TYPE = 'application/x-ndjson';

/** Writes lines. */
export function lineWriter(head: AnswerHead): MessageWriter {
  return {
    type: NDJSON_TYPE,
    hasEstimates: 'asked',
    begin: () => [],
    page: (page) => pageLines(page, head),
    object: (told) => [Buffer.from(`${JSON.stringify(told)}\n`)],
  };
}

function* pageLines(page: MessagePage, head: AnswerHead): Generator<Buffer> {
  const { order, sources, decode } = head;
  const { framing } = head.channel;
  let text = '';
  for (const entry of page.entries) {
    const source = sources.of(entry.session);
    if (entry.kind !== 'messages') {
      const write = entry.kind === 'loss' ? lossText(entry, source) : deletionText(entry, source);
      text += `${write}\n`;
      continue;
    }
    let writtenCount = 0;
    while (writtenCount < entry.messageCount) {
      const charactersTarget = CHUNK_BYTES_TARGET - text.length;
      const style = { source, order, framing, decode, terminator: '\n', charactersTarget };
      const written = writeRun(entry, style, writtenCount);
      writtenCount = written.writtenCount;
      text += written.text;
      if (text.length < CHUNK_BYTES_TARGET) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}
