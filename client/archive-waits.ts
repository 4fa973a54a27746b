// Who waits for which message to be archived. Knows nothing of acknowledgements: the publisher's
// machine says what is known of a message, and when there is news.

import { BackcastError, unreachable } from '#base/mod.ts';
import type { ArchiveState } from '#multicast/core/mod.ts';
import type { TimeLimit } from './time-limit.ts';

interface Wait {
  readonly settled: PromiseWithResolvers<void>;
  waiterCount: number;
}

/** The waits of one publisher. */
export class ArchiveWaits {
  readonly #stateOf: (sequence: number) => ArchiveState;
  readonly #waits = new Map<number, Wait>();
  #toldThrough = 0;
  #isClosed = false;

  /** `stateOf` says what is known of a message now. */
  constructor(stateOf: (sequence: number) => ArchiveState) {
    this.#stateOf = stateOf;
  }

  /**
   * Resolves when the message is archived. Errors: BACKCAST_MESSAGE_LOST, BACKCAST_ARCHIVE_TIMEOUT,
   * BACKCAST_ARCHIVE_UNKNOWN, and the reason of the limit's signal.
   */
  async wait(sequence: number, limit: TimeLimit): Promise<void> {
    if (isSettled(this.#stateOf(sequence), sequence)) return;
    if (this.#isClosed) throw closedBefore(sequence);
    const wait = this.#waits.get(sequence) ?? {
      settled: Promise.withResolvers<void>(),
      waiterCount: 0,
    };
    this.#waits.set(sequence, wait);
    wait.waiterCount += 1;
    try {
      await limit.bound(wait.settled.promise, () => late(sequence, limit.timeoutMs));
    } finally {
      wait.waiterCount -= 1;
      if (wait.waiterCount === 0) this.#waits.delete(sequence);
    }
  }

  /** Everything up to `through` has a state now. */
  archived(through: number): void {
    for (let sequence = this.#toldThrough + 1; sequence <= through; sequence += 1) {
      const wait = this.#waits.get(sequence);
      if (wait !== undefined) this.#settle(sequence, wait);
    }
    this.#toldThrough = through;
  }

  /** The archive has less than it had: what lies behind `through` has no state any more. */
  wentBack(through: number): void {
    this.#toldThrough = through;
  }

  /** Nothing more will be known. */
  close(): void {
    this.#isClosed = true;
    for (const [sequence, { settled }] of this.#waits) settled.reject(closedBefore(sequence));
  }

  #settle(sequence: number, { settled }: Wait): void {
    try {
      if (isSettled(this.#stateOf(sequence), sequence)) settled.resolve();
    } catch (error) {
      settled.reject(error);
    }
  }
}

/** Whether it is archived; throws if it never will be, or nobody can say. */
function isSettled(state: ArchiveState, sequence: number): boolean {
  switch (state) {
    case 'pending':
      return false;
    case 'archived':
      return true;
    case 'lost':
      throw new BackcastError(
        'BACKCAST_MESSAGE_LOST',
        `The archive does not have message ${sequence} and has declared it lost. Publish it anew.`,
      );
    case 'unknown':
      throw new BackcastError(
        'BACKCAST_ARCHIVE_UNKNOWN',
        `The archive has accounted for message ${sequence}, and so much was lost about then that ` +
          'it has not told whether it has it. Ask the replay API whether it is complete there.',
      );
    default:
      return unreachable(state);
  }
}

function late(sequence: number, timeoutMs: number): BackcastError {
  return new BackcastError(
    'BACKCAST_ARCHIVE_TIMEOUT',
    `Message ${sequence} is not known to be archived after ${timeoutMs} ms. It is published, and ` +
      'may be archived all the same. Is an archiver running that acknowledges this channel ' +
      '(archiver.acknowledge)?',
  );
}

function closedBefore(sequence: number): BackcastError {
  return new BackcastError(
    'BACKCAST_ARCHIVE_UNKNOWN',
    `The publisher was closed before message ${sequence} was known to be archived. It may be ` +
      'archived all the same.',
  );
}
