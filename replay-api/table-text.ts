// Messages, losses and deletions as rows of CSV (RFC 4180), for answers and exports alike: a row
// per message, and rows of their own kind for what is missing and for the end, since an answer in
// rows must not look whole when it is not. Columns that a kind has no use for stay empty. Text that
// could be taken for something else is quoted. A spreadsheet takes a payload that begins with an
// equals sign for a formula: what was published is not changed for its sake.

import { isUtf8 } from 'node:buffer';
import { type Deletion, firstPositionOf, type Loss, type MessageRun } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { partsOf, type RunStyle, type RunText } from './message-text.ts';
import type { ToldObject } from './message-writer.ts';

/** The first row. */
export const TABLE_HEAD =
  'kind,position,session,source,sequence,lastSequence,publishedAt,archivedAt,encoding,payload,' +
  'detail\r\n';

/**
 * Goes on writing `run` where `writtenCount` messages of it are written already; at least one more.
 */
export function writeRows(
  run: MessageRun,
  style: Pick<RunStyle, 'source' | 'order' | 'framing' | 'charactersTarget'>,
  writtenCount: number,
): RunText {
  const { segment, messageCount, firstSequence } = run;
  const { bytes, payloadStarts, payloadEnds, publishedAtUs } = segment;
  const firstPosition = firstPositionOf(run);
  const origin = `,${run.session},${sourceField(style.source)},`;
  const archived = `,${formatInstant(run.archivedAtUs)},`;
  const contentText = style.framing === 'zmq' ? partsFields : payloadFields;
  let text = '';
  let count = writtenCount;
  while (count < messageCount && (text === '' || text.length < style.charactersTarget)) {
    const step = style.order === 'asc' ? count : messageCount - 1 - count;
    const index = run.firstIndex + step;
    const sequence = firstSequence + step;
    text += `message,${firstPosition + step}${origin}${sequence},${sequence},`;
    text += formatInstant(publishedAtUs[index]) + archived;
    text += `${contentText(bytes.subarray(payloadStarts[index], payloadEnds[index]))},\r\n`;
    count += 1;
  }
  return { text, writtenCount: count };
}

/** The row of something that is missing, with its place, when that was settled, and why. */
export function missingRow(missing: Loss | Deletion, source: string | null): string {
  const { kind, session, first, last } = missing;
  const [position, us, why] =
    kind === 'loss'
      ? [missing.afterPosition, missing.declaredAtUs, missing.cause]
      : [missing.firstPosition, missing.deletedAtUs, missing.policy];
  const place = `${kind},${position},${session},${sourceField(source)},${first},${last}`;
  return `${place},,${formatInstant(us)},,,${field(why)}\r\n`;
}

/** The row that ends a range, or all of it: as the same is told in JSON. */
export function endRow(told: ToldObject): string {
  const { kind, status, session, first, last, lastPosition, count } = told as Record<
    string,
    string | number | null
  >;
  const [place, from, through] =
    kind === 'range' ? ['', first, last] : [lastPosition ?? '', count, ''];
  return `${kind},${place},${session ?? ''},,${from},${through},,,,,${status}\r\n`;
}

function sourceField(source: string | null): string {
  return source === null ? '' : field(source);
}

/** The fields `encoding` and `payload`. */
function payloadFields(bytes: Buffer): string {
  return isUtf8(bytes) ? `utf8,${field(bytes.toString())}` : `base64,${bytes.toString('base64')}`;
}

function partsFields(frames: Buffer): string {
  return `parts,${field(partsOf(frames))}`;
}

/** `text` as one field, in quotes where something in it means something in CSV. */
function field(text: string): string {
  return /[",\r\n\0]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
