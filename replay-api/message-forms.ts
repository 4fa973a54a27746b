// The forms in which messages are served, and which one a request gets.

import { BackcastError } from '#base/mod.ts';
import { SEGMENTS_TYPE } from '#client/stream/mod.ts';
import { negotiate } from './accept.ts';
import { PAGE_ITEMS_MAX } from './contract.ts';
import { frameWriter } from './message-frames.ts';
import { lineWriter, NDJSON_TYPE } from './message-lines.ts';
import type { AnswerQuery } from './message-request.ts';
import { CSV_TYPE, tableWriter } from './message-table.ts';
import type { AnswerHead, MessageWriter } from './message-writer.ts';

/** The media type of a page. */
export const JSON_TYPE = 'application/json';

/** A form of a stream: all there is, one after the other. */
export type StreamForm = typeof NDJSON_TYPE | typeof CSV_TYPE | typeof SEGMENTS_TYPE;

/** The forms of a stream, the preferred first. */
export const STREAM_FORMS: readonly StreamForm[] = [NDJSON_TYPE, CSV_TYPE, SEGMENTS_TYPE];

/** The form that `accept` prefers among `offers`; BACKCAST_NOT_ACCEPTABLE if it takes none. */
export function chooseForm<Form extends string>(
  accept: string | undefined,
  offers: readonly Form[],
): Form {
  const form = negotiate(accept, offers);
  if (form !== undefined) return form;
  throw new BackcastError(
    'BACKCAST_NOT_ACCEPTABLE',
    `Messages are served as ${offers.join(', ')}. Name one of them in Accept.`,
  );
}

/** BACKCAST_RANGE_INVALID if `query` asks for what `form` has not. */
export function assertFormFits(form: StreamForm | typeof JSON_TYPE, query: AnswerQuery): void {
  const { limit, decode } = query;
  if (form === JSON_TYPE && limit !== undefined && limit > PAGE_ITEMS_MAX) {
    throw new BackcastError(
      'BACKCAST_RANGE_INVALID',
      `Parameter "limit" is ${limit}: a JSON page has at most ${PAGE_ITEMS_MAX} items. ` +
        `Follow "next", or accept ${NDJSON_TYPE}, which has no bound.`,
    );
  }
  if (decode !== undefined && form !== JSON_TYPE && form !== NDJSON_TYPE) {
    throw new BackcastError(
      'BACKCAST_RANGE_INVALID',
      `Parameter "decode" is for ${JSON_TYPE} and ${NDJSON_TYPE}; ${form} has payloads as bytes.`,
    );
  }
}

/** What writes `form`. */
export function writerOf(form: StreamForm, head: AnswerHead): MessageWriter {
  if (form === SEGMENTS_TYPE) return frameWriter(head);
  return form === CSV_TYPE ? tableWriter(head) : lineWriter(head);
}
