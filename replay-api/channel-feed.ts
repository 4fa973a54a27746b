// What is new on one channel, read once for everybody who tails it: follows the head, and keeps the
// last of what came as bytes. Nothing is told that is not committed, since nothing beyond the head
// is read. Reads only while somebody is attached; who is behind reads pages of its own.

import {
  type Channel,
  type ChannelHead,
  lookAgain,
  lossesByPlace,
  type MessagePage,
  type MessageReading,
  openReading,
  type ReadDatabase,
  readHeads,
} from '#archive/mod.ts';
import { BackcastError, toError } from '#base/mod.ts';
import { lossKey, pageChunks, type SessionChange, sessionFrame } from './tail-text.ts';
import { type TailChunk, type TailPlace, TailRing } from './tail-ring.ts';
import { TailSessions } from './tail-sessions.ts';

/** Messages that are read at once. */
const PAGE_MESSAGES = 4_096;
/** Sessions that ended are looked for at most so often. */
const SESSIONS_EVERY_MS = 1_000;
/** What could not be read is tried again after this. */
const RETRY_MS = 1_000;

/** What a feed is made of. */
export interface ChannelFeedOptions {
  readonly opened: ReadDatabase;
  readonly channel: Channel;
  /** What is kept for readers that are a little behind. */
  readonly ringBytesMax: number;
  /** A page was read for all. */
  readonly onRead: () => void;
  /** Something failed that should not; it is tried again. */
  readonly onBug: (error: unknown) => void;
}

/** Where a reader joins a feed. */
export interface Attachment {
  /** The chunk that comes next. */
  readonly number: number;
  /** Everything up to here lies before that chunk. */
  readonly place: TailPlace;
}

/** The feed of one channel. */
export class ChannelFeed {
  readonly #options: ChannelFeedOptions;
  readonly #sessions: TailSessions;
  readonly #ring: TailRing;
  readonly #waiting = new Set<() => void>();
  #place: TailPlace = { position: 0, told: new Set() };
  /** As far as it has been looked at: what is committed beyond it is news. */
  #seen: ChannelHead;
  #head: ChannelHead;
  #attachedCount = 0;
  /** Nobody was attached when something came: where it goes on is not where it was. */
  #isPaused = true;
  #trouble: BackcastError | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isFollowing = false;
  #retryAtMs = 0;
  #sessionsAtMs = 0;
  /** Something was committed since sessions that ended were last looked for. */
  #owesSessions = false;
  /** Sessions that ended, and are to be told behind their last message. */
  #ended: readonly SessionChange[] = [];

  constructor(options: ChannelFeedOptions) {
    const { opened, channel } = options;
    this.#options = options;
    this.#sessions = new TailSessions(opened.database, channel.channelId);
    this.#ring = new TailRing(options.ringBytesMax);
    this.#head = { channelId: channel.channelId, head: channel.archivedThrough, commits: -1 };
    this.#seen = this.#head;
  }

  /** The channel, as it was when the feed began. */
  get channel(): Channel {
    return this.#options.channel;
  }

  /** The last position known to be archived. */
  get archivedThrough(): number {
    return this.#head.head;
  }

  /** Why nothing new can be read just now. */
  get trouble(): BackcastError | undefined {
    return this.#trouble;
  }

  /** The sessions that are open. */
  get openSessions(): readonly SessionChange[] {
    return this.#sessions.open;
  }

  /** Chunk `number`, see TailRing. */
  at(number: number): TailChunk | 'later' | 'gone' {
    return this.#ring.at(number);
  }

  /**
   * Joins behind all that has been told, of an archive that has `position`, if there is one; from
   * now on everything is read for this reader, until it detaches. BACKCAST_DATABASE_UNREACHABLE if the place to join cannot be found out.
   */
  async attach(position = 0): Promise<Attachment> {
    this.#attachedCount += 1;
    try {
      await this.#inTurn(() => (this.#isPaused ? this.#restart() : this.#catchUpWith(position)));
    } catch (error) {
      this.#attachedCount -= 1;
      throw error;
    }
    return { number: this.#ring.nextNumber, place: this.#place };
  }

  /** A reader that was attached has left, or fallen behind. */
  detach(): void {
    this.#attachedCount -= 1;
  }

  /** Resolves when something has come or changed, after `waitMs`, or when `signal` fires. */
  async changed(waitMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const onAbort = (): void => wake();
    const timer = setTimeout(wake, waitMs);
    signal.addEventListener('abort', onAbort);
    this.#waiting.add(wake);
    await promise;
    this.#waiting.delete(wake);
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }

  /** The channel was looked at: its archive ends here. */
  handleHead(head: ChannelHead): void {
    this.#head = head;
    const isNew = this.#isNews(head);
    if (isNew && this.#attachedCount === 0) this.#isPaused = true;
    const nowMs = performance.now();
    if (this.#isFollowing || nowMs < this.#retryAtMs) return;
    if (!isNew && this.#trouble !== undefined) this.#setTrouble(undefined);
    const owesSessions = this.#owesSessions && nowMs - this.#sessionsAtMs >= SESSIONS_EVERY_MS;
    if ((isNew || owesSessions) && !this.#isPaused) void this.#followInTurn();
  }

  /** The channel could not be looked at. */
  handleTrouble(error: unknown): void {
    const problem = error instanceof BackcastError ? error : internal(error);
    if (this.#trouble?.code === problem.code) return;
    if (problem.code === 'BACKCAST_INTERNAL') this.#options.onBug(error);
    this.#setTrouble(problem);
  }

  #isNews({ head, commits }: ChannelHead): boolean {
    return head !== this.#seen.head || commits !== this.#seen.commits;
  }

  async #followInTurn(): Promise<void> {
    this.#isFollowing = true;
    try {
      await this.#inTurn(() => this.#follow());
    } catch (error) {
      this.#retryAtMs = performance.now() + RETRY_MS;
      this.handleTrouble(error);
    } finally {
      this.#isFollowing = false;
    }
  }

  #setTrouble(problem: BackcastError | undefined): void {
    this.#trouble = problem;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** One after the other, whatever becomes of the one before. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    const running = this.#turn.then(task);
    this.#turn = running.catch(() => undefined);
    return running;
  }

  /** Begins at the head, with nothing left to be told of what is there. */
  async #restart(): Promise<void> {
    const { database } = this.#options.opened;
    await this.#sessions.load();
    const head = await this.#readHead();
    const place = { first: head.head, last: head.head };
    const losses = await lossesByPlace(database, head.channelId, place, head.head);
    this.#ring.clear();
    this.#place = { position: head.head, told: new Set(losses.map(lossKey)) };
    this.#head = head;
    this.#seen = head;
    this.#isPaused = false;
    this.#setTrouble(undefined);
  }

  /** Who joins may have seen more than the last look at the channel: it is looked at again. */
  async #catchUpWith(position: number): Promise<void> {
    if (position <= this.#place.position) return;
    this.#head = await this.#readHead();
    await this.#follow();
  }

  async #readHead(): Promise<ChannelHead> {
    const { opened, channel } = this.#options;
    const [head] = await readHeads(opened.database, [channel.channelId]);
    return head ?? { channelId: channel.channelId, head: 0, commits: 0 };
  }

  async #follow(): Promise<void> {
    const head = await this.#lookAtSessions();
    if (head.head < this.#place.position) return await this.#restart();
    try {
      if (this.#isNews(head)) await this.#readThrough(head.head);
    } catch (error) {
      const isGone = error instanceof BackcastError && error.code === 'BACKCAST_HISTORY_GONE';
      if (!isGone) throw error;
      return await this.#restart();
    }
    this.#tell(this.#ended);
    this.#ended = [];
    this.#seen = head;
    this.#setTrouble(undefined);
  }

  /** The head to read to: one that lies behind all that came of the sessions found to be over. */
  async #lookAtSessions(): Promise<ChannelHead> {
    const nowMs = performance.now();
    this.#owesSessions = nowMs - this.#sessionsAtMs < SESSIONS_EVERY_MS;
    if (this.#owesSessions) return this.#head;
    this.#sessionsAtMs = nowMs;
    this.#ended = [...this.#ended, ...(await this.#sessions.ended())];
    return await this.#readHead();
  }

  async #readThrough(archivedThrough: number): Promise<void> {
    const reading = await this.#openReading(archivedThrough);
    for (let isLast = false; !isLast; ) {
      const page = await reading.nextPage(PAGE_MESSAGES);
      this.#options.onRead();
      const { begun, ended } = await this.#sessions.meet(page.entries);
      this.#tell(begun);
      this.#ended = [...this.#ended, ...ended];
      this.#write(page);
      this.#wake();
      ({ isLast } = page);
    }
    if (this.#place.position < archivedThrough)
      this.#place = { ...this.#place, position: archivedThrough };
  }

  #write(page: MessagePage): void {
    const { framing } = this.channel;
    const { sourceOf } = this.#sessions;
    for (const chunk of pageChunks(page, this.#place, { framing, sourceOf })) {
      this.#ring.push(chunk);
      this.#place = chunk.place;
    }
  }

  async #openReading(archivedThrough: number): Promise<MessageReading> {
    const { opened, channel } = this.#options;
    return openReading(
      opened,
      { ...(await lookAgain(opened, channel)), archivedThrough },
      {
        kind: 'positions',
        after: this.#place.position,
        before: undefined,
        publishedFromUs: undefined,
        publishedToUs: undefined,
        order: 'asc',
      },
    );
  }

  #tell(changes: readonly SessionChange[]): void {
    if (changes.length === 0) return;
    const bytes = Buffer.from(changes.map(sessionFrame).join(''));
    this.#ring.push({ bytes, place: this.#place });
    this.#wake();
  }
}

function internal(cause: unknown): BackcastError {
  return new BackcastError('BACKCAST_INTERNAL', toError(cause).message, { cause });
}
