// Lets those who ask the database the same at about the same time have one answer. Knows nothing of
// what is asked. The rule that keeps an answer from being too old: it may serve whoever came before
// the statement was started, and whoever knows that nothing it depends on has changed since, and
// nobody else, so that everybody sees at least what was committed when he came, as if he had asked
// alone. Of the same question one is under way and one waits for it to end; whoever comes meanwhile
// shares the one that waits.

import { setImmediate as turn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';

/** A count of the statements started so far: answers to later ones are not older than it. */
export type Moment = number;

/** An answer, and the moment when it was there: a question asked after it sees no less. */
export interface SharedAnswer<Value> {
  readonly value: Value;
  readonly finishedAt: Moment;
}

/** What to ask. */
export interface Question<Value> {
  /** Who asks the same has the same key. */
  readonly key: string;
  readonly ask: () => Promise<Value>;
  /** Memory that the answer holds; undefined if it is not worth keeping once it is there. */
  readonly bytesOf: (value: Value) => number | undefined;
  /**
   * What the asker knows about the moment that the answer depends on: whoever knows the same may
   * have the answer, however long ago it was asked for. Undefined if only the time counts.
   */
  readonly version?: string | undefined;
}

interface Shared {
  readonly answer: Promise<SharedAnswer<unknown>>;
  readonly version: string | undefined;
  /** When its statement was started; infinite while it waits. */
  startedAt: Moment;
}

/** Answers are for those who read at about the same time. */
const KEPT_MS_MAX = 30_000;
/** While its size is not known; a small answer. */
const PENDING_BYTES = 1_024;
/** Of a key and what else is kept with an answer. */
const OVERHEAD_BYTES = 512;

/** The answers of one database. */
export class SharedResults {
  readonly #kept: LRUCache<string, Shared>;
  #startedCount = 0;
  #askedCount = 0;

  /** Keeps at most `bytesMax` bytes of answers. */
  constructor(bytesMax: number) {
    this.#kept = new LRUCache({ maxSize: bytesMax, ttl: KEPT_MS_MAX });
  }

  /** From now on; see SharedAnswer. */
  get now(): Moment {
    return this.#startedCount;
  }

  /** Questions so far, and statements that were started to answer them. */
  get counts(): { readonly asked: number; readonly started: number } {
    return { asked: this.#askedCount, started: this.#startedCount };
  }

  /** The answer to a question that is asked after `since`. Fails as the statement does. */
  get<Value>(question: Question<Value>, since: Moment): Promise<SharedAnswer<Value>> {
    this.#askedCount += 1;
    const known = this.#kept.get(question.key);
    if (known !== undefined && (known.startedAt > since || isOfVersion(known, question))) {
      return known.answer as Promise<SharedAnswer<Value>>;
    }
    return this.#start(question, known);
  }

  /** Forgets every answer. */
  clear(): void {
    this.#kept.clear();
  }

  #start<Value>(
    question: Question<Value>,
    before: Shared | undefined,
  ): Promise<SharedAnswer<Value>> {
    const run = async (): Promise<SharedAnswer<Value>> => {
      await before?.answer.catch(() => undefined);
      // Who comes in the same turn of the loop asks together with this one.
      await turn();
      this.#startedCount += 1;
      shared.startedAt = this.#startedCount;
      const value = await question.ask();
      this.#settle(question.key, shared, question.bytesOf(value));
      return { value, finishedAt: this.#startedCount };
    };
    const answer = Promise.withResolvers<SharedAnswer<Value>>();
    const shared: Shared = {
      answer: answer.promise,
      version: question.version,
      startedAt: Number.POSITIVE_INFINITY,
    };
    this.#kept.set(question.key, shared, { size: PENDING_BYTES });
    run().then(answer.resolve, (error: unknown) => {
      this.#settle(question.key, shared, undefined);
      answer.reject(error);
    });
    return answer.promise;
  }

  #settle(key: string, shared: Shared, bytes: number | undefined): void {
    if (this.#kept.peek(key) !== shared) return;
    this.#kept.delete(key);
    if (bytes !== undefined)
      this.#kept.set(key, shared, { size: bytes + key.length + OVERHEAD_BYTES });
  }
}

function isOfVersion({ version }: Shared, question: Pick<Question<unknown>, 'version'>): boolean {
  return version !== undefined && version === question.version;
}
