// A streamed answer: pages of the archive, written in one form and closed by an end that says
// whether it is complete. Made of one reading, or of one for each of several ranges. No connection
// is held while a page is sent, and only the page after it is fetched ahead, and not even that if
// both would keep more than a mebibyte busy for one who may be slow.

import { setImmediate as turn } from 'node:timers/promises';
import {
  type Channel,
  type MessagePage,
  type MessageReading,
  type ReadDatabase,
  readHeads,
  type SessionRange,
} from '#archive/mod.ts';
import { assert } from '#base/mod.ts';
import type { AccessNote } from './access/access-log.ts';
import { type EstimateStart, estimateOf } from './catch-up-estimate.ts';
import { toCursor } from './message-cursor.ts';
import { type AnswerQuery, toQueryString } from './message-request.ts';
import type { Sources } from './message-sources.ts';
import {
  type AnswerStatus,
  askAgainMs,
  type Missing,
  missingWith,
  statusOf,
  worseOf,
} from './message-status.ts';
import type { MessageWriter, ToldObject } from './message-writer.ts';

/** A part of an answer: a reading, and the range that it answers if several were asked for. */
export interface AnswerPart {
  /** Undefined for a range of a session that the archive has not heard. */
  readonly reading: MessageReading | undefined;
  readonly range: SessionRange | undefined;
}

/** A streamed answer. */
export interface StreamedAnswer {
  readonly opened: ReadDatabase;
  readonly channel: Channel;
  readonly sources: Sources;
  readonly writer: MessageWriter;
  readonly query: AnswerQuery;
  /** Told of each page that is handed over. */
  readonly note: AccessNote;
  readonly parts: AsyncIterable<AnswerPart> | Iterable<AnswerPart>;
  /** Whether all chunks that were taken have been sent, and nothing looks at them any more. */
  readonly isFlushed: () => boolean;
}

const ESTIMATE_MS = 2_000;
/** Who takes a page within this time will soon need the next one. */
const QUICK_MS_MAX = 50;
/** Of pages up to this, two may be held for one reader: together a mebibyte. */
const SMALL_PAGE_BYTES_MAX = 524_288;
const NOTHING_MISSING: Missing = { losses: 0, deletions: 0 };

/**
 * The chunks of `answer`. Its first page is read at once, so that what is wrong with the request or
 * the database shows before the answer begins.
 */
export async function streamChunks(answer: StreamedAnswer): Promise<AsyncIterable<Uint8Array>> {
  const chunks = new AnswerStream(answer).chunks();
  const first = await chunks.next();
  assert(first.done !== true, 'an answer has an end at least');
  return chunks;
}

class AnswerStream {
  readonly #answer: StreamedAnswer;
  #start: EstimateStart | undefined;
  #estimatedMs = Number.NEGATIVE_INFINITY;
  #count = 0;
  /** Behind the last page that was told. */
  #remaining = 0;
  #lastPosition: number | null = null;
  #status: AnswerStatus = 'complete';
  /** The only reading of an answer that is not made of ranges. */
  #whole: { readonly reading: MessageReading; readonly isLast: boolean } | undefined;

  constructor(answer: StreamedAnswer) {
    this.#answer = answer;
  }

  /** First nothing, once the first page is there; then the answer. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const { writer } = this.#answer;
    for await (const part of this.#answer.parts) {
      for await (const chunk of this.#partChunks(part)) {
        yield chunk;
        // A socket that takes everything at once would otherwise keep the process to itself.
        await turn();
      }
    }
    yield* writer.object(this.#end());
  }

  async *#partChunks({ reading, range }: AnswerPart): AsyncGenerator<Uint8Array> {
    const { writer } = this.#answer;
    let status: AnswerStatus = 'unsettled';
    if (reading === undefined) yield* this.#begin();
    else {
      let missing = NOTHING_MISSING;
      let isLast = false;
      for await (const page of this.#pages(reading)) {
        yield* this.#begin(reading);
        missing = missingWith(missing, page);
        isLast = page.isLast;
        yield* writer.page(page);
        if (range === undefined) yield* await this.#estimate();
      }
      status = statusOf(reading, missing, isLast);
      if (range === undefined) this.#whole = { reading, isLast };
    }
    this.#status = worseOf(this.#status, status);
    if (range !== undefined) yield* writer.object(rangeObject(range, status, reading));
  }

  /**
   * The pages of `reading` up to the limit, each fetched while the one before is being sent; a large
   * one into what is shared, and for a quick reader only, so that none keeps much more than a
   * mebibyte busy.
   */
  async *#pages(reading: MessageReading): AsyncGenerator<MessagePage> {
    const { sources, query, note, isFlushed } = this.#answer;
    const limit = query.limit ?? Number.MAX_SAFE_INTEGER;
    let isQuick = false;
    let page = await reading.nextPage(limit - this.#count);
    for (;;) {
      await sources.load(page);
      note.servedPage(page);
      this.#count += page.messageCount;
      this.#lastPosition = lastPositionIn(page, reading.order) ?? this.#lastPosition;
      const isEnd = page.isLast || this.#count >= limit;
      this.#remaining = reading.remaining;
      const isSmall = page.heldBytes <= SMALL_PAGE_BYTES_MAX;
      const following = isEnd || !isSmall ? undefined : fetchAhead(reading, limit - this.#count);
      if (!isEnd && !isSmall && isQuick) reading.prepare?.(limit - this.#count);
      const givenAtMs = performance.now();
      yield page;
      isQuick = performance.now() - givenAtMs < QUICK_MS_MAX;
      if (isFlushed()) page.letGo?.();
      if (isEnd) return;
      page = await (following ?? reading.nextPage(limit - this.#count));
    }
  }

  *#begin(reading?: MessageReading): Generator<Uint8Array> {
    if (this.#start !== undefined) return;
    const { archivedThrough } = this.#answer.channel;
    this.#start = { nowMs: performance.now(), archivedThrough, isOpenEnded: isOpenEnded(reading) };
    yield new Uint8Array(0);
    yield* this.#answer.writer.begin();
  }

  /** An estimate, where the form has one and the last was told some time ago. */
  async #estimate(): Promise<readonly Uint8Array[]> {
    const { writer, query, opened, channel } = this.#answer;
    const isWanted =
      writer.hasEstimates === 'always' ||
      (writer.hasEstimates === 'asked' && query.estimate === 'true');
    const nowMs = performance.now();
    if (!isWanted || nowMs - this.#estimatedMs < ESTIMATE_MS || this.#start === undefined) {
      return [];
    }
    this.#estimatedMs = nowMs;
    const [now] = this.#start.isOpenEnded
      ? await readHeads(opened.database, [channel.channelId])
      : [];
    const taken = { count: this.#count, remaining: this.#remaining };
    const progress = { nowMs, ...taken, head: now?.head ?? channel.archivedThrough };
    return writer.object(estimateOf(this.#start, progress));
  }

  #end(): ToldObject {
    const { channel, query } = this.#answer;
    const status = this.#status;
    const whole = this.#whole;
    const resume = whole?.reading.resume;
    const path = `/v1/channels/${channel.name}/messages`;
    const isCut = resume !== undefined && whole?.isLast === false;
    return {
      kind: 'end',
      complete: status === 'complete',
      status,
      count: this.#count,
      lastPosition: this.#lastPosition,
      archivedThrough: channel.archivedThrough,
      cursor: resume === undefined ? null : toCursor(channel.name, resume),
      next: isCut ? `${path}?${toQueryString(resume, query)}` : null,
      askAgainMs: askAgainMs(status, resume, Date.now()),
    };
  }
}

/** The next page, while another is being sent. Its failure is felt where it is awaited. */
function fetchAhead(reading: MessageReading, messagesMax: number): Promise<MessagePage> {
  const page = reading.nextPage(messagesMax);
  page.catch(() => undefined);
  return page;
}

function rangeObject(
  range: SessionRange,
  status: AnswerStatus,
  reading: MessageReading | undefined,
): ToldObject {
  const { session, first, last } = range;
  const isUntold = status === 'unsettled' || status === 'unknown';
  const untoldFrom = isUntold ? Math.max(first, reading?.unsettled?.fromSequence ?? first) : null;
  return { kind: 'range', session, first, last, status, untoldFrom };
}

/** Whether an answer would have what is archived from now on, if it were asked for later. */
function isOpenEnded(reading: MessageReading | undefined): boolean {
  const request = reading?.resume;
  return (
    request?.kind === 'positions' &&
    request.order === 'asc' &&
    request.before === undefined &&
    request.publishedToUs === undefined &&
    request.archivedToUs === undefined
  );
}

function lastPositionIn(page: MessagePage, order: 'asc' | 'desc'): number | undefined {
  const run = page.entries.findLast((entry) => entry.kind === 'messages');
  if (run === undefined) return undefined;
  const first = run.segment.firstPosition + run.firstIndex;
  return order === 'asc' ? first + run.messageCount - 1 : first;
}
