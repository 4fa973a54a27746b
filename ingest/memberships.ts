// What makes the archiver a member of the channels of unicast delivery that its threads hear. Tries
// until it works, each channel for itself: others are not to suffer from one that cannot be joined.

import { setTimeout as delay } from 'node:timers/promises';
import { type MemberAddress, toError } from '#base/mod.ts';

/** Makes this archiver a member of `channel`, heard at `at`, until the answer is disposed. */
export type JoinChannel = (channel: string, at: MemberAddress) => Promise<AsyncDisposable>;

/** Between two attempts. */
const RETRY_MS = 1_000;

/** The memberships of one archiver. Disposing leaves all channels. */
export class Memberships implements AsyncDisposable {
  readonly #join: JoinChannel | undefined;
  readonly #warn: (fields: Record<string, unknown>, message: string) => void;
  readonly #joins = new Map<string, Promise<AsyncDisposable | undefined>>();
  readonly #all: Promise<AsyncDisposable | undefined>[] = [];
  readonly #stopping = new AbortController();

  /** Without `join`, publishers are to know of the archiver by other means. */
  constructor(
    join: JoinChannel | undefined,
    log: { warn(fields: Record<string, unknown>, message: string): void },
  ) {
    this.#join = join;
    this.#warn = (fields, message) => log.warn(fields, message);
  }

  /** Joins `channel`, which is heard at `at`; one that has moved is heard at several places. */
  begin(channel: string, at: MemberAddress): void {
    const join = this.#tryToJoin(channel, at);
    this.#all.push(join);
    this.#joins.set(channel, join);
  }

  /** Resolves when `channel` has been joined, or need not be. */
  async joined(channel: string): Promise<void> {
    await this.#joins.get(channel);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await using memberships = new AsyncDisposableStack();
    for (const membership of this.#all) memberships.use(await membership);
  }

  async #tryToJoin(channel: string, at: MemberAddress): Promise<AsyncDisposable | undefined> {
    const { signal } = this.#stopping;
    let isFailing = false;
    while (!signal.aborted) {
      try {
        return await this.#join?.(channel, at);
      } catch (error) {
        const reason = toError(error).message;
        if (!isFailing) this.#warn({ channel, reason }, 'channel cannot be joined yet');
        isFailing = true;
      }
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
    return undefined;
  }
}
