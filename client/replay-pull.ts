// Runs one request to an archive: pulls its answer entry by entry, as long as there is room, until
// it ends, fails or is no longer wanted. Does not know what is done with the entries.

import { BackcastError } from '#base/mod.ts';

/** What is pulled, and where it goes. */
export interface PullOptions<Entry> {
  readonly pull: (signal: AbortSignal) => AsyncIterable<Entry>;
  readonly mayPull: () => boolean;
  readonly take: (entry: Entry) => void;
  /** Called once if the answer fails, or ends though it was still wanted; never after abort. */
  readonly failed: (error: unknown) => void;
}

/** One running request. */
export class Pull<Entry> {
  readonly #options: PullOptions<Entry>;
  readonly #abort = new AbortController();
  #room = Promise.withResolvers<void>();

  constructor(options: PullOptions<Entry>) {
    this.#options = options;
    void this.#run();
  }

  /** There may be room again. */
  wake(): void {
    this.#room.resolve();
  }

  /** It is no longer wanted: nothing more is taken from it. */
  abort(): void {
    this.#abort.abort();
    this.#room.resolve();
  }

  async #run(): Promise<void> {
    const { pull, take, failed } = this.#options;
    const { signal } = this.#abort;
    try {
      for await (const entry of pull(signal)) {
        if (signal.aborted) return;
        take(entry);
        await this.#roomFor();
        if (signal.aborted) return;
      }
      throw new BackcastError(
        'BACKCAST_ANSWER_TRUNCATED',
        'The answer of the archive ended before its end. It is asked again.',
      );
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }

  async #roomFor(): Promise<void> {
    while (!this.#options.mayPull() && !this.#abort.signal.aborted) {
      this.#room = Promise.withResolvers();
      await this.#room.promise;
    }
  }
}
