// Reads back what a channel's spool holds, for a backlog: as much at a time as fits the memory,
// with what the archive knows of the sessions in it. Says when something is missing.

import { BackcastError, type SessionId } from '#base/mod.ts';
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
  readonly #findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  #ready: FoundEvent[] = [];
  #recoveredThrough = 0;
  #isDamaged = false;
  #failedReads = 0;

  constructor(
    spool: Spool,
    findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>,
  ) {
    this.#spool = spool;
    this.#findSessions = findSessions;
  }

  /** Whether what is told need not begin where what was told before ended. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  /** What the spool holds is an earlier process's, and may be in the archive already. */
  expectOld(): void {
    this.#isDamaged = true;
    this.#recoveredThrough = this.#spool.durableThrough;
  }

  /**
   * Reads all that an earlier process left: `front` follows it, from what the archive has, and both
   * learn what the archive has of sessions that they do not know. Rejects if it does not answer.
   */
  async recover(
    archived: Pick<SessionLedger, 'find' | 'learn'>,
    front: SessionLedger,
  ): Promise<{
    readonly messageCount: number;
    readonly hasNews: boolean;
    readonly heardAtUs: number;
  }> {
    const touched = new Set<SessionId>();
    const learn = (progress: SessionProgress): void => {
      archived.learn(progress);
      front.learn(progress);
    };
    let messageCount = 0;
    let hasNews = false;
    let heardAtUs = 0;
    this.#isDamaged = this.#spool.durableThrough >= this.#spool.firstNumber;
    this.#recoveredThrough = this.#spool.durableThrough;
    for (let last = this.#spool.firstNumber - 1; ; ) {
      const found = await this.#read(last, true);
      if (found.length === 0) break;
      await this.#learn(found, front, learn);
      for (const { number, spooled } of found) {
        last = number;
        heardAtUs = spooled.heardAtUs;
        for (const news of newsOf(front, spooled)) {
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
    return { messageCount, hasNews, heardAtUs };
  }

  /**
   * The next entries behind `number`; none if the disk gives no more, and `unanswered` if the
   * disk fails for now, or the archive, which has to be asked about their sessions.
   */
  async next(number: number, sessions: Sessions): Promise<readonly FoundEvent[] | 'unanswered'> {
    if (this.#ready.length === 0) {
      const found = await this.#read(number).catch(() => this.#failedRead(number));
      if (found === 'unanswered') return found;
      const isDense = found.every((it, index) => it.number === number + 1 + index);
      if (!isDense || found.length === 0) this.#isDamaged = true;
      this.#ready = found;
    }
    try {
      await this.#learn(this.#ready, sessions, (progress) => sessions.learn(progress));
      return [...this.#ready];
    } catch (error) {
      if (error instanceof BackcastError && error.isRetryable) return 'unanswered';
      throw error;
    }
  }

  /** `number` has been told and is not to be given again. */
  take(number: number): void {
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
    return entries.map(({ number, content }) => ({ number, spooled: readSpooledEvent(content) }));
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
