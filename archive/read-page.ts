// What the readings by position and by sequence have in common: the shape of a page, and cutting
// what was fetched to the number of messages asked for.

import { BackcastError, type SessionId } from '#base/mod.ts';
import { type ArchivedSegment, memoryOf } from './read-decode.ts';
import { cutRun, type MessageRun, type PageEntry, payloadBytesOf } from './read-entries.ts';

/**
 * Some of an answer, in its order: about a mebibyte of payloads, or the number of messages asked
 * for.
 */
export interface MessagePage {
  readonly entries: readonly PageEntry[];
  readonly messageCount: number;
  readonly payloadBytes: number;
  /** Memory that the messages keep busy, with what lies beside them in what was fetched. */
  readonly heldBytes: number;
  /** Whether the answer ends here; what follows is only what the archive takes in later. */
  readonly isLast: boolean;
  /**
   * To be called at most once, by who will not look at the entries again and has sent the payloads:
   * their memory may then be used for others.
   */
  readonly letGo?: (() => void) | undefined;
}

/** Reads an answer page by page. Between pages it holds no connection and no lock. */
export interface MessageReading {
  /**
   * Messages with positions up to this one were archived when the reading began; none beyond is
   * read.
   */
  readonly archivedThrough: number;
  /** Whether no message that is missing from this answer can still come, and if not, from where. */
  readonly unsettled: Unsettled | undefined;
  readonly order: 'asc' | 'desc';
  /**
   * The next at most `messagesMax` messages, none perhaps, and the losses and deletions among them.
   * A deletion that reaches over the end of a page comes once; a reading that goes on from `resume`
   * names it again. Not to be called again after the last page. BACKCAST_HISTORY_GONE if messages
   * are gone that no policy deleted.
   */
  nextPage(messagesMax: number): Promise<MessagePage>;
  /**
   * Where readers share what they read: begins to read what the same call of `nextPage` will need,
   * into what is shared, so that this reader keeps nothing busy by it.
   */
  prepare?(messagesMax: number): void;
  /** How many messages the pages that follow have at most. */
  readonly remaining: number;
  /** The request that goes on behind the pages read so far. */
  readonly resume: MessageRequest;
}

/**
 * Why an answer may not be final, and the first sequence concerned where it is about one session.
 */
export interface Unsettled {
  readonly fromSequence: number | undefined;
  /** Asking again is of no use: the publisher fell silent, and nobody knows what it published. */
  readonly isUnknown?: boolean;
}

/** Messages in the order of the channel, all or those of an interval of publish times. */
export interface PositionRequest {
  readonly kind: 'positions';
  /** Exclusive bounds. */
  readonly after: number | undefined;
  readonly before: number | undefined;
  /** Half-open; a bound left out reaches as far as the archive does. */
  readonly publishedFromUs: number | undefined;
  readonly publishedToUs: number | undefined;
  /** Half-open as well: when the archive took in a message, or declared a loss. */
  readonly archivedFromUs?: number | undefined;
  readonly archivedToUs?: number | undefined;
  /** The archive had this position once. It must still, or it is not the archive that it was. */
  readonly seenThrough?: number | undefined;
  readonly order: 'asc' | 'desc';
}

/** Messages of one session in the order of their sequences. */
export interface SequenceRequest {
  readonly kind: 'sequences';
  readonly session: SessionId;
  /**
   * Inclusive bounds; left out: from 1, or the first number told of a foreign source, up to the
   * session's watermark.
   */
  readonly first: number | undefined;
  readonly last: number | undefined;
  readonly order: 'asc' | 'desc';
}

/** What to read. */
export type MessageRequest = PositionRequest | SequenceRequest;

/** Of `runs`, in the order of reading, as many as hold `messagesMax` messages. */
export function takeMessages(
  runs: readonly MessageRun[],
  messagesMax: number,
  order: 'asc' | 'desc',
): { readonly taken: MessageRun[]; readonly isCut: boolean } {
  const taken: MessageRun[] = [];
  let room = messagesMax;
  for (const run of runs) {
    if (room === 0) return { taken, isCut: true };
    const cut = cutRun(run, room, order === 'asc' ? 'start' : 'end');
    taken.push(cut);
    room -= cut.messageCount;
    if (cut !== run) return { taken, isCut: true };
  }
  return { taken, isCut: false };
}

/** A page of `entries`, which are in ascending order, turned to the order of the reading. */
export function makePage(
  entries: readonly PageEntry[],
  order: 'asc' | 'desc',
  isLast: boolean,
): MessagePage {
  let messageCount = 0;
  let payloadBytes = 0;
  const segments = new Set<ArchivedSegment>();
  for (const entry of entries) {
    if (entry.kind !== 'messages') continue;
    messageCount += entry.messageCount;
    payloadBytes += payloadBytesOf(entry);
    segments.add(entry.segment);
  }
  const heldBytes = [...segments].reduce((sum, segment) => sum + memoryOf(segment), 0);
  const ordered = order === 'asc' ? entries : entries.toReversed();
  return { entries: ordered, messageCount, payloadBytes, heldBytes, isLast };
}

/** BACKCAST_ARCHIVE_REWOUND if the archive ends before a position that it had once. */
export function assertNotRewound(archivedThrough: number, seenThrough: number | undefined): void {
  if (seenThrough === undefined || seenThrough <= archivedThrough) return;
  throw new BackcastError(
    'BACKCAST_ARCHIVE_REWOUND',
    `This goes on from position ${seenThrough}, and the channel ends with ${archivedThrough}. If ` +
      'so much was read, the archive went back to an earlier moment since, and gives the ' +
      'positions behind it to other messages: begin again at a time before it did. Sessions and ' +
      'sequences mean what they meant.',
  );
}

/** How often it is looked again for what is neither there nor deleted: a move may be under way. */
export const MISSING_ATTEMPTS_MAX = 3;

/** The error for messages that were archived once and are gone without a note of why. */
export function historyGone(what: string, available: string): BackcastError {
  return new BackcastError('BACKCAST_HISTORY_GONE', `${what} are no longer kept. ${available}`);
}
