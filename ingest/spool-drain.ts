// Reads back what a channel's spool holds, for a backlog: as much at a time as fits the memory,
// with what the archive knows of the sessions in it. Says when something is missing.

import { BackcastError, type Framing, type SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import { messagesIn } from './kept-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import { readSpooledEvent, type Spool, type SpooledEvent } from './spool/mod.ts';
import { follow, newsOf } from './spooled-history.ts';

/** An entry of the spool. */
export interface FoundEvent {
  readonly number: number;
  readonly spooled: SpooledEvent;
}

/** Where sessions are looked up, and learnt. */
type Sessions = Pick<SessionLedger, 'find' | 'learn' | 'hasForgotten'>;

/** With a few attempts a second, for some seconds. */
const FAILED_READS_MAX = 40;

/** Reads one spool, in order. */
export class SpoolDrain {
  readonly #spool: Spool;
  readonly #framing: Framing;
  readonly #findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  /** Sessions that have another name in the archive than in the spool. */
  readonly #names = new Map<SessionId, SessionId>();
  #ready: FoundEvent[] = [];
  #readyAfter = 0;
  #hasLost = false;
  #recoveredThrough = 0;
  #isDamaged = false;
  #failedReads = 0;

  constructor(
    spool: Spool,
    framing: Framing,
    findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>,
  ) {
    this.#spool = spool;
    this.#framing = framing;
    this.#findSessions = findSessions;
  }

  /** What the spool has of `from` is of `to`. */
  rename(from: SessionId, to: SessionId): void {
    this.#names.set(from, to);
    this.#ready = [];
  }

  /** Whether what is told need not begin where what was told before ended. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  /** Whether entries that were durable could not be read. */
  get hasLost(): boolean {
    return this.#hasLost || this.#spool.damaged.length > 0;
  }

  /**
   * The spool was opened late: what an earlier process left may be in the archive. `onFound` is
   * told every entry that can be read.
   */
  async takeUp(onFound: (found: FoundEvent) => void): Promise<void> {
    this.#isDamaged = true;
    this.#recoveredThrough = Math.max(this.#recoveredThrough, this.#spool.durableThrough);
    await this.readAll(onFound);
  }

  /**
   * Reads all that an earlier process left: `front` follows it, from what the archive has, and both
   * learn what the archive has of sessions that they do not know. `onFound` is told every entry.
   * Rejects if the archive does not answer.
   */
  async recover(
    archived: Pick<SessionLedger, 'find' | 'learn'>,
    front: SessionLedger,
    onFound: (found: FoundEvent) => void,
  ): Promise<{ readonly messageCount: number; readonly hasNews: boolean }> {
    const touched = new Set<SessionId>();
    const learn = (progress: SessionProgress): void => {
      archived.learn(progress);
      front.learn(progress);
    };
    let messageCount = 0;
    let hasNews = false;
    this.#isDamaged = this.#spool.durableThrough >= this.#spool.firstNumber;
    this.#recoveredThrough = this.#spool.durableThrough;
    for (let last = this.#spool.firstNumber - 1; ; ) {
      const found = await this.#read(last, true);
      if (found.length === 0) break;
      await this.#learn(found, front, learn);
      for (const entry of found) {
        const { number, spooled } = entry;
        last = number;
        onFound(entry);
        const { identity } = spooled;
        const retelling = { framing: this.#framing, missing: 'corrupt', identity } as const;
        for (const news of newsOf(front, spooled.event, retelling)) {
          follow(front, news, spooled.heardAtUs);
          touched.add(news.session);
          messageCount += messagesIn(news);
          hasNews ||= news.kind === 'messages' || news.kind === 'lost';
        }
      }
    }
    hasNews ||= [...touched].some(
      (session) => !isSame(archived.find(session), front.find(session)),
    );
    return { messageCount, hasNews };
  }

  /**
   * The next entries behind `number`; none if the disk gives no more, and `unanswered` if the
   * disk fails for now, or the archive, which has to be asked about their sessions.
   */
  async next(number: number, sessions: Sessions): Promise<readonly FoundEvent[] | 'unanswered'> {
    if (this.#ready.length === 0 || this.#readyAfter !== number) {
      const found = await this.#read(number).catch(() => this.#failedRead(number));
      if (found === 'unanswered') return found;
      const isDense = found.every((it, index) => it.number === number + 1 + index);
      if (!isDense || found.length === 0) {
        this.#isDamaged = true;
        this.#hasLost = true;
      }
      this.#ready = found;
      this.#readyAfter = number;
    }
    try {
      await this.#learn(this.#ready, sessions, (progress) => sessions.learn(progress));
      return [...this.#ready];
    } catch (error) {
      if (error instanceof BackcastError && error.isRetryable) return 'unanswered';
      throw error;
    }
  }

  /**
   * What is told from here on begins at the first entry again, for somebody who may not know the
   * sessions in it.
   */
  rewind(): void {
    this.#ready = [];
    this.#recoveredThrough = Number.POSITIVE_INFINITY;
  }

  /** Every entry that can be read, once more, whatever was told. */
  async readAll(onFound: (found: FoundEvent) => void): Promise<void> {
    for (let last = this.#spool.firstNumber - 1; ; ) {
      const found = await this.#read(last, true);
      if (found.length === 0) return;
      for (const entry of found) onFound(entry);
      last = found.at(-1)?.number ?? last;
    }
  }

  /** `number` has been told and is not to be given again. */
  take(number: number): void {
    this.#readyAfter = number;
    const next = this.#ready.findIndex((it) => it.number > number);
    this.#ready = next < 0 ? [] : this.#ready.slice(next);
  }

  /** A disk that does not answer may do so later, but not all is to wait for it for ever. */
  async #failedRead(number: number): Promise<'unanswered' | FoundEvent[]> {
    this.#failedReads += 1;
    if (this.#failedReads % FAILED_READS_MAX !== 0) return 'unanswered';
    return await this.#read(number, true);
  }

  async #read(after: number, skipUnreadable = false): Promise<FoundEvent[]> {
    const entries = await this.#spool.read(after, { skipUnreadable });
    return entries.map(({ number, content }) => {
      const spooled = readSpooledEvent(content);
      const session = this.#names.get(spooled.event.session) ?? spooled.event.session;
      return { number, spooled: { ...spooled, event: { ...spooled.event, session } } };
    });
  }

  /** A session that is not known may be forgotten, or was over before this process began. */
  async #learn(
    found: readonly FoundEvent[],
    sessions: Pick<SessionLedger, 'find' | 'hasForgotten'>,
    learn: (progress: SessionProgress) => void,
  ): Promise<void> {
    const isOld = (found[0]?.number ?? Number.POSITIVE_INFINITY) <= this.#recoveredThrough;
    if (!isOld && !sessions.hasForgotten) return;
    const unknown = new Set<SessionId>();
    for (const { spooled } of found) {
      const { session } = spooled.event;
      if (sessions.find(session) === undefined) unknown.add(session);
    }
    if (unknown.size === 0) return;
    for (const progress of await this.#findSessions([...unknown])) learn(progress);
  }
}

function isSame(
  archived: SessionProgress | undefined,
  spooled: SessionProgress | undefined,
): boolean {
  if (archived === undefined || spooled === undefined) return archived === spooled;
  const { state, lead, watermark, source } = archived;
  const isAhead = lead < spooled.lead || watermark < spooled.watermark;
  return state === spooled.state && source === spooled.source && !isAhead;
}
