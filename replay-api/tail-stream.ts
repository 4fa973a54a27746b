// One reader's tail, from where it begins to where its connection ends; either behind or live:
//
//   replaying   reads pages of its own up to where the feed of the channel is
//   live        sends what the feed reads for everybody; silent, a sign of life now and then
//   away        the database does not answer; the connection stays
//
// live ──► replaying when the reader was too slow for what the feed keeps. So a reader costs what
// is on its way to it, and one page while it is behind. Nothing is read ahead.

import {
  type Channel,
  lookAgain,
  type MessagePage,
  nameSessions,
  openReading,
  type PositionRequest,
  type ReadDatabase,
} from '#archive/mod.ts';
import { BackcastError, type SessionId } from '#base/mod.ts';
import type { AccessNote } from './access/access-log.ts';
import type { Attachment, ChannelFeed } from './channel-feed.ts';
import type { ChannelWatch } from './channel-watch.ts';
import type { Begun, ReadDatabases } from './read-databases.ts';
import type { TailChunk, TailPlace } from './tail-ring.ts';
import {
  endFrame,
  HEARTBEAT_FRAME,
  pageChunks,
  sessionFrame,
  stateFrame,
  type TailState,
} from './tail-text.ts';

/** How near the head a reader joins the feed: what is behind it is read while the feed goes on. */
const NEAR_MESSAGES = 4_096;
/** Messages that are read at once; a page is about a mebibyte of payloads at most. */
const PAGE_MESSAGES = 4_096;
/** How long the server asks a reader to wait before it connects again. */
const RETRY_MS = 1_000;
/** What failed for want of the database is tried again after this. */
const AWAY_MS = 1_000;

const HEARTBEAT = Buffer.from(HEARTBEAT_FRAME);

/** What a tail is made of. */
export interface TailOptions {
  /** Who is behind shares with others what they read of history. */
  readonly reads: Pick<ReadDatabases, 'primary' | 'through'>;
  readonly watch: ChannelWatch;
  readonly feed: ChannelFeed;
  /** The last position the reader has; undefined to begin with what comes next. */
  readonly after: number | undefined;
  /** Told of what is handed over. */
  readonly note: AccessNote;
  /** Ends the tail; a BackcastError as its reason is told. */
  readonly signal: AbortSignal;
}

/** The request for everything of a channel behind position `after`. */
export function everythingAfter(after: number): PositionRequest {
  const request = { before: undefined, publishedFromUs: undefined, publishedToUs: undefined };
  return { kind: 'positions', after, ...request, order: 'asc' };
}

/**
 * What is sent to one reader. Ends when `signal` fires, when the watch closes, or with a frame that
 * says why nothing more can be read.
 */
export async function* tailBytes(options: TailOptions): AsyncGenerator<Buffer> {
  const tail = new Tail(options);
  yield Buffer.from(`retry: ${RETRY_MS}\n\n`);
  while (!tail.isOver) {
    try {
      yield* tail.run();
    } catch (error) {
      if (!(error instanceof BackcastError)) throw error;
      if (!error.isRetryable) {
        yield tail.end(error);
        return;
      }
      yield* tail.wait();
    }
  }
  yield tail.end(options.signal.reason);
}

class Tail {
  readonly #options: TailOptions;
  readonly #sources = new Map<SessionId, string | null>();
  #place: TailPlace | undefined;
  #state: TailState | undefined;

  constructor(options: TailOptions) {
    this.#options = options;
    const { after } = options;
    this.#place = after === undefined ? undefined : { position: after, told: new Set() };
  }

  get isOver(): boolean {
    return this.#options.signal.aborted;
  }

  /** From behind to live, and until the reader is behind again. */
  async *run(): AsyncGenerator<Buffer> {
    const { feed } = this.#options;
    yield* this.#approach();
    if (this.isOver) return;
    const attachment = await feed.attach(this.#place?.position);
    try {
      if (this.#isRewound(attachment.place)) yield this.#turn('rewound', attachment.place);
      else if (this.#isBehind(attachment.place)) yield* this.#reach(attachment.place);
      // A reader that was not told all of it is not at that place, and must not hear that it is.
      if (this.isOver) return;
      this.#place = attachment.place;
      yield* this.#follow(attachment);
    } finally {
      feed.detach();
    }
  }

  /** The database is away: until it may be back. */
  async *wait(): AsyncGenerator<Buffer> {
    const { feed, signal } = this.#options;
    // Who began with what comes next is told a place as well, and goes on from there.
    this.#place ??= { position: feed.archivedThrough, told: new Set() };
    yield this.#state === 'away' ? HEARTBEAT : this.#turn('away', this.#place);
    await feed.changed(AWAY_MS, signal);
  }

  /** The last frame. */
  end(reason: unknown): Buffer {
    const problem = reason instanceof BackcastError ? reason : undefined;
    const detail = problem?.message ?? 'The server stops. Connect again, with Last-Event-ID.';
    return Buffer.from(endFrame(this.#position, problem?.code ?? null, detail));
  }

  get #position(): number {
    return this.#place?.position ?? this.#options.feed.archivedThrough;
  }

  /**
   * Reads without the feed as long as there is much to read, also from a replica: to before the
   * last position that it has, since of what is lost behind that one it may not know all.
   */
  async *#approach(): AsyncGenerator<Buffer> {
    const { feed, reads } = this.#options;
    for (;;) {
      const { archivedThrough } = feed;
      if (this.#place === undefined || this.isOver) return;
      if (archivedThrough - this.#place.position <= NEAR_MESSAGES) return;
      const begun = await reads.through(feed.channel, archivedThrough);
      yield* this.#replay({ position: archivedThrough - 1, told: new Set() }, begun, false);
    }
  }

  /** Reads what lies before the feed's place where the feed is read. */
  async *#reach(place: TailPlace): AsyncGenerator<Buffer> {
    const { feed, reads } = this.#options;
    const opened = reads.primary();
    const channel = await lookAgain(opened, feed.channel);
    yield* this.#replay(place, { opened, channel }, true);
  }

  /** Whether the archive has gone back before what this reader has. */
  #isRewound({ position }: TailPlace): boolean {
    return this.#place !== undefined && this.#place.position > position;
  }

  /** Whether something was told through `place` that this reader has not been told. */
  #isBehind({ position, told }: TailPlace): boolean {
    if (this.#place === undefined) return false;
    return this.#place.position < position || !told.isSubsetOf(this.#place.told);
  }

  /**
   * Everything from where the reader is to `through`. Of the losses at its end, those that the feed
   * has not told are the feed's to tell, if it is the feed's place.
   */
  async *#replay(
    through: TailPlace,
    { opened, channel: found }: Begun,
    isOfFeed: boolean,
  ): AsyncGenerator<Buffer> {
    const { watch } = this.#options;
    let from = this.#place ?? through;
    if (from.position < through.position) yield this.#turn('replaying', from, through.position);
    const channel = { ...found, archivedThrough: through.position };
    const reading = await openReading(opened, channel, everythingAfter(from.position));
    const { framing } = channel;
    const sourceOf = (session: SessionId): string | null => this.#sources.get(session) ?? null;
    for (let isLast = false; !isLast && !this.isOver; ) {
      const page = await reading.nextPage(PAGE_MESSAGES);
      watch.counters.pagesAlone += 1;
      await this.#nameSources(opened, channel, page);
      const style = { framing, sourceOf, through: isOfFeed ? through : undefined };
      for (const chunk of pageChunks(page, from, style)) {
        yield this.#hand(chunk);
        from = chunk.place;
      }
      ({ isLast } = page);
    }
    if (!this.isOver && from.position < through.position)
      this.#place = { ...from, position: through.position };
  }

  #hand({ bytes, messages, place }: TailChunk): Buffer {
    if (messages !== undefined) this.#options.note.served(messages);
    this.#place = place;
    return bytes;
  }

  async #nameSources(
    opened: ReadDatabase,
    channel: Channel,
    { entries }: MessagePage,
  ): Promise<void> {
    const sessions = new Set(entries.map(({ session }) => session));
    if (sessions.difference(this.#sources).size === 0) return;
    const found = await nameSessions(opened, channel, [...sessions]);
    this.#sources.clear();
    for (const session of sessions) this.#sources.set(session, found.get(session)?.source ?? null);
  }

  async *#follow(attachment: Attachment): AsyncGenerator<Buffer> {
    const { feed, signal, watch } = this.#options;
    let { number } = attachment;
    yield this.#turn('live', attachment.place);
    const open = feed.openSessions.map(sessionFrame).join('');
    if (open !== '') yield Buffer.from(open);
    while (!signal.aborted) {
      const chunk = feed.at(number);
      if (chunk === 'gone') {
        watch.counters.fallbacks += 1;
        return;
      }
      if (chunk === 'later') yield* this.#idle();
      else {
        yield this.#hand(chunk);
        number += 1;
      }
    }
  }

  /** Waits for more; tells when the database goes away or is back. */
  async *#idle(): AsyncGenerator<Buffer> {
    const { feed, signal, watch } = this.#options;
    const isAway = feed.trouble !== undefined;
    if (isAway !== (this.#state === 'away')) {
      yield this.#turn(isAway ? 'away' : 'live', this.#place);
      return;
    }
    const startedMs = performance.now();
    await feed.changed(watch.bounds.heartbeatMs, signal);
    const silentMs = performance.now() - startedMs;
    if (silentMs >= watch.bounds.heartbeatMs && !signal.aborted) yield HEARTBEAT;
  }

  #turn(state: TailState, place: TailPlace | undefined, archivedThrough?: number): Buffer {
    this.#state = state;
    const { feed } = this.#options;
    const position = place?.position ?? feed.archivedThrough;
    const through = Math.max(position, archivedThrough ?? feed.archivedThrough);
    return Buffer.from(stateFrame(state, position, through));
  }
}
