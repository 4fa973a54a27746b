// A streamed answer as CSV (RFC 4180): a row per message, with losses, deletions and the end as
// rows of their own kind, since an answer in rows must not look whole when it is not. Columns that
// a kind has no use for stay empty.

import { isUtf8 } from 'node:buffer';
import { type Deletion, firstPositionOf, type Loss, type MessagePage } from '#archive/mod.ts';
import type { MessageRun } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { partsOf } from './message-text.ts';
import {
  type AnswerHead,
  CHUNK_BYTES_TARGET,
  type MessageWriter,
  type ToldObject,
} from './message-writer.ts';

/** The media type. */
export const CSV_TYPE = 'text/csv';

const COLUMNS = [
  'kind',
  'position',
  'session',
  'source',
  'sequence',
  'lastSequence',
  'publishedAt',
  'archivedAt',
  'encoding',
  'payload',
  'detail',
] as const;

type Cells = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

/** Writes rows. */
export function tableWriter(head: AnswerHead): MessageWriter {
  return {
    type: `${CSV_TYPE}; charset=utf-8; header=present`,
    hasEstimates: 'never',
    begin: () => [Buffer.from(`${COLUMNS.join(',')}\r\n`)],
    page: (page) => pageRows(page, head),
    object: (told) => [Buffer.from(rowOf(objectCells(told)))],
  };
}

function* pageRows(page: MessagePage, head: AnswerHead): Generator<Buffer> {
  let text = '';
  for (const entry of page.entries) {
    const source = head.sources.of(entry.session);
    if (entry.kind === 'loss') text += rowOf(lossCells(entry, source));
    else if (entry.kind === 'deletion') text += rowOf(deletionCells(entry, source));
    else
      for (let count = 0; count < entry.messageCount; count += 1) {
        const step = head.order === 'asc' ? count : entry.messageCount - 1 - count;
        text += rowOf(messageCells(entry, step, source, head));
        if (text.length < CHUNK_BYTES_TARGET) continue;
        yield Buffer.from(text);
        text = '';
      }
  }
  if (text !== '') yield Buffer.from(text);
}

function messageCells(
  run: MessageRun,
  step: number,
  source: string | null,
  { channel: { framing } }: AnswerHead,
): Cells {
  const { bytes, payloadStarts, payloadEnds, publishedAtUs } = run.segment;
  const index = run.firstIndex + step;
  const payload = bytes.subarray(payloadStarts[index], payloadEnds[index]);
  const sequence = run.firstSequence + step;
  return {
    kind: 'message',
    position: firstPositionOf(run) + step,
    session: run.session,
    source,
    sequence,
    lastSequence: sequence,
    publishedAt: formatInstant(publishedAtUs[index]),
    archivedAt: formatInstant(run.archivedAtUs),
    ...(framing === 'zmq' ? { encoding: 'parts', payload: partsOf(payload) } : contentOf(payload)),
  };
}

function contentOf(payload: Buffer): Cells {
  const encoding = isUtf8(payload) ? 'utf8' : 'base64';
  return { encoding, payload: payload.toString(encoding) };
}

function lossCells({ session, first, last, ...loss }: Loss, source: string | null): Cells {
  return {
    kind: 'loss',
    position: loss.afterPosition,
    session,
    source,
    sequence: first,
    lastSequence: last,
    archivedAt: formatInstant(loss.declaredAtUs),
    detail: loss.cause,
  };
}

function deletionCells({ session, first, last, ...rest }: Deletion, source: string | null): Cells {
  return {
    kind: 'deletion',
    position: rest.firstPosition,
    session,
    source,
    sequence: first,
    lastSequence: last,
    archivedAt: formatInstant(rest.deletedAtUs),
    detail: rest.policy,
  };
}

function objectCells(told: ToldObject): Cells {
  const { kind, session, first, last, lastPosition, count, status } = told as Record<
    string,
    string | number
  >;
  if (kind === 'range')
    return { kind, session, sequence: first, lastSequence: last, detail: status };
  return { kind, position: lastPosition, sequence: count, detail: status };
}

function rowOf(cells: Cells): string {
  return `${COLUMNS.map((name) => cellText(cells[name])).join(',')}\r\n`;
}

function cellText(value: string | number | null | undefined): string {
  if (typeof value !== 'string') return value === null || value === undefined ? '' : String(value);
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
