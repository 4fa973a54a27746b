// A page of messages as one JSON text, with what is lost and deleted among them.

import type { Channel, MessageReading, MessageRun } from '#archive/mod.ts';
import type { AccessNote } from './access/access-log.ts';
import { PAGE_ITEMS_DEFAULT } from './contract.ts';
import { toCursor } from './message-cursor.ts';
import { type AnswerQuery, toQueryString } from './message-request.ts';
import type { Sources } from './message-sources.ts';
import { askAgainMs, type Missing, missingWith, statusOf } from './message-status.ts';
import { deletionText, lossText, type RunStyle, writeRun } from './message-text.ts';

/**
 * Payload bytes after which a JSON page ends before its limit: it waits for its reader as one text,
 * and there may be many readers.
 */
const PAGE_BYTES_TARGET = 1_048_576;

/** What to answer with a page. */
export interface PagedAnswer {
  readonly channel: Channel;
  readonly sources: Sources;
  readonly reading: MessageReading;
  readonly query: AnswerQuery;
  /** Told of each page that is handed over. */
  readonly note: AccessNote;
}

/** A JSON page as text, and what of it stands in headers as well. */
export interface JsonPage {
  readonly text: string;
  readonly next: string | null;
  readonly askAgainMs: number | null;
}

/**
 * The JSON page: at most `limit` messages, fewer if their payloads get too large for one answer.
 */
export async function jsonPage(answer: PagedAnswer): Promise<JsonPage> {
  const { channel, sources, reading, query, note } = answer;
  const style = { order: reading.order, framing: channel.framing, decode: query.decode };
  const losses: string[] = [];
  const deletions: string[] = [];
  let missing: Missing = { losses: 0, deletions: 0 };
  let items = '';
  let room = query.limit ?? PAGE_ITEMS_DEFAULT;
  let payloadBytes = 0;
  let isLast = false;
  while (!isLast && room > 0 && payloadBytes < PAGE_BYTES_TARGET) {
    const page = await reading.nextPage(room);
    await sources.load(page);
    note.servedPage(page);
    for (const entry of page.entries) {
      const source = sources.of(entry.session);
      if (entry.kind === 'loss') losses.push(lossText(entry, source));
      else if (entry.kind === 'deletion') deletions.push(deletionText(entry, source));
      else items += runText(entry, { ...style, source });
    }
    missing = missingWith(missing, page);
    room -= page.messageCount;
    payloadBytes += page.payloadBytes;
    isLast = page.isLast;
  }
  const status = statusOf(reading, missing, isLast);
  const head = { channel: channel.name, status, archivedThrough: reading.archivedThrough };
  const tail = tailOf(answer, isLast);
  const again = askAgainMs(status, reading.resume, Date.now());
  const text =
    `${JSON.stringify(head).slice(0, -1)},"items":[${items.slice(0, -1)}]` +
    `,"losses":[${losses.join(',')}],"deletions":[${deletions.join(',')}]` +
    `,${JSON.stringify({ ...tail, askAgainMs: again }).slice(1)}`;
  return { text, next: tail.next, askAgainMs: again };
}

function tailOf({ channel, reading, query }: PagedAnswer, isLast: boolean) {
  const { resume, remaining } = reading;
  const url = `/v1/channels/${channel.name}/messages?${toQueryString(resume, query)}`;
  return { remaining, cursor: toCursor(channel.name, resume), next: isLast ? null : url };
}

function runText(
  run: MessageRun,
  style: Pick<RunStyle, 'source' | 'order' | 'framing' | 'decode'>,
): string {
  const whole = { terminator: ',', charactersTarget: Number.POSITIVE_INFINITY };
  return writeRun(run, { ...style, ...whole }, 0).text;
}
