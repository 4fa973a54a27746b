// Answers a request for messages: one JSON page, or NDJSON of everything. Both walk the same pages
// of the archive and end by saying whether they are complete. No connection is held while a page is
// sent, and only the page after it is fetched ahead, so that a slow reader costs memory for two
// pages.

import { setImmediate as turn } from 'node:timers/promises';
import {
  type Channel,
  loadSources,
  type MessagePage,
  type MessageReading,
  type MessageRun,
  type ReadDatabase,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import type { AccessNote } from './access/access-log.ts';
import { PAGE_ITEMS_DEFAULT } from './contract.ts';
import { toQueryString } from './message-request.ts';
import { deletionText, lossText, type RunStyle, writeRun } from './message-text.ts';

/**
 * Payload bytes after which a JSON page ends before its limit: it waits for its reader as one text,
 * and there may be many readers.
 */
const PAGE_BYTES_TARGET = 1_048_576;
/** Text that is handed to the connection at once, in UTF-16 units. */
const CHUNK_CHARACTERS_TARGET = 65_536;

/** What to answer. */
export interface MessageAnswer {
  readonly opened: ReadDatabase;
  readonly channel: Channel;
  readonly reading: MessageReading;
  /** As given in the request. */
  readonly limit: number | undefined;
  /** Told of each page that is handed over. */
  readonly note: AccessNote;
}

/** A JSON page as text, and the URL of the next one. */
export interface JsonPage {
  readonly text: string;
  readonly next: string | null;
}

/**
 * The JSON page: at most `limit` messages, fewer if their payloads get too large for one answer.
 */
export async function jsonPage(answer: MessageAnswer): Promise<JsonPage> {
  const { channel, reading, limit = PAGE_ITEMS_DEFAULT, note } = answer;
  const sources = new Sources(answer);
  const style = { order: reading.order, framing: channel.framing };
  const losses: string[] = [];
  const deletions: string[] = [];
  let items = '';
  let room = limit;
  let payloadBytes = 0;
  let isLast = false;
  while (!isLast && room > 0 && payloadBytes < PAGE_BYTES_TARGET) {
    const page = await reading.nextPage(room);
    note.servedPage(page);
    await sources.load(page);
    for (const entry of page.entries) {
      const source = sources.of(entry.session);
      if (entry.kind === 'loss') losses.push(lossText(entry, source));
      else if (entry.kind === 'deletion') deletions.push(deletionText(entry, source));
      else items += runText(entry, { ...style, source });
    }
    room -= page.messageCount;
    payloadBytes += page.payloadBytes;
    isLast = page.isLast;
  }
  const next = isLast ? null : nextUrl(answer);
  const head = {
    channel: channel.name,
    status: statusOf(reading, { losses: losses.length, deletions: deletions.length }, isLast),
    archivedThrough: reading.archivedThrough,
  };
  const text =
    `${JSON.stringify(head).slice(0, -1)},"items":[${items.slice(0, -1)}]` +
    `,"losses":[${losses.join(',')}],"deletions":[${deletions.join(',')}]` +
    `,"next":${JSON.stringify(next)}}`;
  return { text, next };
}

/**
 * The chunks of an NDJSON answer. Its first page is read at once, so that what is wrong with the
 * request or the database shows before the answer begins.
 */
export async function ndjsonChunks(answer: MessageAnswer): Promise<AsyncIterable<Buffer>> {
  const { reading, limit } = answer;
  const first = await reading.nextPage(limit ?? Number.MAX_SAFE_INTEGER);
  return remainingChunks(answer, first);
}

async function* remainingChunks(answer: MessageAnswer, first: MessagePage): AsyncGenerator<Buffer> {
  const { reading, limit = Number.MAX_SAFE_INTEGER, note } = answer;
  const sources = new Sources(answer);
  let page = first;
  let count = 0;
  const missing = { losses: 0, deletions: 0 };
  let lastPosition: number | null = null;
  for (;;) {
    await sources.load(page);
    note.servedPage(page);
    count += page.messageCount;
    for (const { kind } of page.entries) {
      if (kind === 'loss') missing.losses += 1;
      if (kind === 'deletion') missing.deletions += 1;
    }
    lastPosition = lastPositionIn(page, reading.order) ?? lastPosition;
    const isEnd = page.isLast || count >= limit;
    const following = isEnd ? undefined : fetchAhead(reading, limit - count);
    for (const chunk of pageChunks(page, sources, answer)) {
      yield chunk;
      // A socket that takes everything at once would otherwise keep the process to itself.
      await turn();
    }
    if (following === undefined) break;
    page = await following;
  }
  const status = statusOf(reading, missing, page.isLast);
  const end = {
    kind: 'end',
    complete: status === 'complete',
    status,
    count,
    lastPosition,
    archivedThrough: reading.archivedThrough,
    next: page.isLast ? null : nextUrl(answer),
  };
  yield Buffer.from(`${JSON.stringify(end)}\n`);
}

/**
 * The page after this one, while this one is being sent. Its failure is felt where it is awaited.
 */
function fetchAhead(reading: MessageReading, messagesMax: number): Promise<MessagePage> {
  const page = reading.nextPage(messagesMax);
  page.catch(() => undefined);
  return page;
}

function* pageChunks(
  page: MessagePage,
  sources: Sources,
  { reading: { order }, channel: { framing } }: MessageAnswer,
): Generator<Buffer> {
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
      const charactersTarget = CHUNK_CHARACTERS_TARGET - text.length;
      const style = { source, order, framing, terminator: '\n', charactersTarget };
      const written = writeRun(entry, style, writtenCount);
      writtenCount = written.writtenCount;
      text += written.text;
      if (text.length < CHUNK_CHARACTERS_TARGET) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

function runText(run: MessageRun, style: Pick<RunStyle, 'source' | 'order' | 'framing'>): string {
  const whole = { terminator: ',', charactersTarget: Number.POSITIVE_INFINITY };
  return writeRun(run, { ...style, ...whole }, 0).text;
}

function lastPositionIn(page: MessagePage, order: 'asc' | 'desc'): number | undefined {
  const run = page.entries.findLast((entry) => entry.kind === 'messages');
  if (run === undefined) return undefined;
  const first = run.segment.firstPosition + run.firstIndex;
  return order === 'asc' ? first + run.messageCount - 1 : first;
}

/** An answer that stops at its limit says nothing of what follows, so that cannot unsettle it. */
function statusOf(
  reading: MessageReading,
  missing: { readonly losses: number; readonly deletions: number },
  isLast: boolean,
): 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown' {
  const { unsettled } = reading;
  if (unsettled !== undefined && isLast) return unsettled.isUnknown ? 'unknown' : 'unsettled';
  if (missing.deletions > 0) return 'deleted';
  return missing.losses > 0 ? 'partial' : 'complete';
}

function nextUrl({ channel, reading, limit }: MessageAnswer): string {
  return `/v1/channels/${channel.name}/messages?${toQueryString(reading.resume, limit)}`;
}

/** Names of publishers, asked for once per session and answer. */
class Sources {
  readonly #answer: MessageAnswer;
  readonly #known = new Map<SessionId, string | null>();

  constructor(answer: MessageAnswer) {
    this.#answer = answer;
  }

  of(session: SessionId): string | null {
    return this.#known.get(session) ?? null;
  }

  async load(page: MessagePage): Promise<void> {
    const sessions = new Set(page.entries.map(({ session }) => session));
    const unknown = [...sessions].filter((session) => !this.#known.has(session));
    if (unknown.length === 0) return;
    const { opened, channel } = this.#answer;
    const found = await loadSources(opened.database, channel, unknown);
    for (const session of unknown) this.#known.set(session, found.get(session) ?? null);
  }
}
