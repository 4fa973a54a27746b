// `history`: what is archived, message by message, for whoever wants a report rather than a
// subscription. A connection that breaks is taken up again behind the last message, without
// telling. Knows nothing of what is published now.

import { formatInstant, requireChannelName, type SessionId } from '#base/mod.ts';
import { type ArchivedMessage, messagesOf } from './archived-message.ts';
import type { MessagesQuery } from './contract.ts';
import { type GivenInstant, instantUs } from './given-instant.ts';
import { queryText } from './http-query.ts';
import { Retries } from './http-retries.ts';
import { type AnswerEnd, replayEntries } from './http-replay.ts';
import type { ReplayApi } from './http-request.ts';
import type { ReplayedDeletion, ReplayedLoss, ReplayedRun } from './replay-source.ts';

/** How a history ended. */
export interface HistoryEnd {
  readonly kind: 'end';
  /**
   * complete: everything is here. partial, deleted: what is missing was told. unsettled: the
   * archive has not got that far. unknown: the publisher fell silent before.
   */
  readonly status: AnswerEnd['status'];
  readonly archivedThrough: number;
}

/** What a history tells, in the order of positions; the end last, and once. */
export type HistoryEntry = ArchivedMessage | ReplayedLoss | ReplayedDeletion | HistoryEnd;

/** Which part of which channel: by position and publish time, or of one session. */
export interface HistoryOptions extends ReplayApi {
  readonly channel: string;
  /** Behind this position. */
  readonly after?: number | undefined;
  /** Published at this instant or later. */
  readonly from?: GivenInstant | undefined;
  /** Published before this instant. */
  readonly to?: GivenInstant | undefined;
  readonly session?: SessionId | undefined;
  /** The first sequence of `session`. */
  readonly first?: number | undefined;
  /** The last sequence of `session`. */
  readonly last?: number | undefined;
  /** At most so many messages. */
  readonly limit?: number | undefined;
  /** How long the API may be away or silent before that is an error; 30 s by default. */
  readonly patienceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const PATIENCE_MS_DEFAULT = 30_000;

/**
 * What is archived, oldest first; each message once, also over broken connections. Errors:
 * BACKCAST_USAGE, BACKCAST_CHANNEL_NAME, BACKCAST_CHANNEL_UNKNOWN, BACKCAST_SESSION_UNKNOWN,
 * BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED, BACKCAST_HISTORY_GONE, BACKCAST_ARCHIVE_REWOUND;
 * what is still wrong after `patienceMs`, such as BACKCAST_API_UNREACHABLE; the reason of `signal`.
 */
export async function* history(options: HistoryOptions): AsyncGenerator<HistoryEntry, void, void> {
  const { channel, patienceMs = PATIENCE_MS_DEFAULT, signal } = options;
  requireChannelName(channel);
  const retries = new Retries({ patienceMs, signal });
  const reading = new Reading(options);
  while (!reading.isFull) {
    try {
      for await (const entry of replayEntries(options, reading.path(), signal)) {
        // Losses alone come anew with every answer: they do not bring it on.
        if (entry.kind === 'messages') retries.succeeded();
        if (entry.kind === 'end') {
          yield reading.end(entry);
          return;
        }
        yield* reading.take(entry);
      }
    } catch (error) {
      await retries.failed(error);
    }
  }
  yield reading.endWithout();
}

/** Where a history stands, and how to go on from there. */
class Reading {
  readonly #options: HistoryOptions;
  #lastPosition: number | undefined;
  #lastSequence: number | undefined;
  #messageCount = 0;
  #missing: 'none' | 'losses' | 'deletions' = 'none';
  /** Losses and deletions told since the last message: an answer begun anew tells them again. */
  readonly #told = new Set<string>();

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /** Whether all was read that the limit or the range allows, and only the end was cut off. */
  get isFull(): boolean {
    const { limit, last } = this.#options;
    return this.#messageCount === limit || (last !== undefined && this.#lastSequence === last);
  }

  /** The path of what is still to be read. */
  path(): string {
    const { channel, from, to, session, last, limit } = this.#options;
    const query: MessagesQuery = {
      session,
      first: this.#firstSequence(),
      last,
      after: session === undefined ? (this.#lastPosition ?? this.#options.after) : undefined,
      seenThrough: session === undefined ? this.#lastPosition : undefined,
      from: instantText(from),
      to: instantText(to),
      limit: limit === undefined ? undefined : limit - this.#messageCount,
    };
    return `/v1/channels/${channel}/messages${queryText(query)}`;
  }

  *take(entry: ReplayedRun | ReplayedLoss | ReplayedDeletion): Generator<HistoryEntry, void, void> {
    if (entry.kind === 'messages') {
      yield* this.#messages(entry);
      return;
    }
    const { kind, session, first, last } = entry;
    const key = `${kind} ${session} ${first} ${last}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    if (this.#missing !== 'deletions') this.#missing = kind === 'loss' ? 'losses' : 'deletions';
    yield entry;
  }

  /** The end of the whole history: what earlier connections told of is missing as well. */
  end({ status, archivedThrough }: Pick<AnswerEnd, 'status' | 'archivedThrough'>): HistoryEnd {
    const isMilder = status === 'complete' || status === 'partial';
    const missing = { none: status, losses: 'partial', deletions: 'deleted' } as const;
    return { kind: 'end', status: isMilder ? missing[this.#missing] : status, archivedThrough };
  }

  /** The end of a history of which only the end was cut off. */
  endWithout(): HistoryEnd {
    const archivedThrough = this.#lastPosition ?? 0;
    return this.end({ status: 'complete', archivedThrough });
  }

  *#messages(run: ReplayedRun): Generator<ArchivedMessage, void, void> {
    this.#told.clear();
    for (const message of messagesOf(run)) {
      this.#lastPosition = message.position;
      this.#lastSequence = message.sequence;
      this.#messageCount += 1;
      yield message;
    }
  }

  #firstSequence(): number | undefined {
    const { session, first } = this.#options;
    if (session === undefined || this.#lastSequence === undefined) return first;
    return this.#lastSequence + 1;
  }
}

function instantText(given: GivenInstant | undefined): string | undefined {
  return given === undefined ? undefined : formatInstant(instantUs(given));
}
