// Reads many ranges of sessions, each as a reading of its own, in one pass: what they all need is
// looked up once, and ranges that lie near each other share one reading, so that a segment with a
// hundred of them is read once.

import {
  SEGMENT_MESSAGES_MAX,
  SEQUENCE_MAX,
  type SequenceRange,
  type SessionId,
} from '#base/mod.ts';
import { type ArchivedSession, type Channel, findKnownSessions } from './read.ts';
import { SequenceReading } from './read-by-sequence.ts';
import { cutRun, lastSequenceOf, type PageEntry } from './read-entries.ts';
import { planSequences } from './read-messages.ts';
import {
  makePage,
  type MessagePage,
  type MessageReading,
  type SequenceRequest,
} from './read-page.ts';
import { loadPartitionBounds, type PartitionBounds } from './read-partitions.ts';
import { SessionIndex } from './read-session-index.ts';
import type { ReadDatabase } from './shared-reads.ts';

/** Sequences of one session. */
export interface SessionRange extends SequenceRange {
  readonly session: SessionId;
}

/** A range and the reading that answers it. */
export interface RangeAnswer {
  readonly range: SessionRange;
  /** Undefined where the archive has not heard the session: it may yet. */
  readonly reading: MessageReading | undefined;
}

interface Neighbours {
  readonly session: ArchivedSession | undefined;
  readonly ranges: readonly SessionRange[];
}

interface Place {
  readonly opened: ReadDatabase;
  readonly channel: Channel;
  readonly partitions: readonly PartitionBounds[];
}

/**
 * The readings of `ranges` from `channel`, as findChannel has just returned it. They are to be read
 * in their order, each to its end, with pages of any size.
 */
export async function openRanges(
  opened: ReadDatabase,
  channel: Channel,
  ranges: readonly SessionRange[],
): Promise<readonly RangeAnswer[]> {
  const { database: db } = opened;
  const named = [...new Set(ranges.map(({ session }) => session))];
  const sessions = await findKnownSessions(db, channel, named);
  const partitions = await loadPartitionBounds(db, channel.channelId);
  const indexes = new Indexes({ opened, channel, partitions });
  return neighboursOf(ranges, sessions).flatMap((neighbours) => openTogether(indexes, neighbours));
}

/** Ranges in their order, together where they follow each other closely in one session. */
function neighboursOf(
  ranges: readonly SessionRange[],
  sessions: ReadonlyMap<SessionId, ArchivedSession>,
): Neighbours[] {
  const found: {
    readonly session: ArchivedSession | undefined;
    readonly ranges: SessionRange[];
  }[] = [];
  for (const range of ranges) {
    const open = found.at(-1);
    const before = open?.ranges.at(-1);
    const session = sessions.get(range.session);
    const isNear =
      before?.session === range.session &&
      session?.isForeign === false &&
      range.first > before.last &&
      range.first - before.last <= SEGMENT_MESSAGES_MAX;
    if (isNear) open?.ranges.push(range);
    else found.push({ session, ranges: [range] });
  }
  return found;
}

function openTogether(indexes: Indexes, { session, ranges }: Neighbours): RangeAnswer[] {
  if (session === undefined) return ranges.map((range) => ({ range, reading: undefined }));
  const whole = { ...ranges[0], last: ranges[ranges.length - 1].last };
  const reading = indexes.read(session, whole);
  if (ranges.length === 1) return [{ range: whole, reading }];
  const shared = new SharedReading(reading);
  return ranges.map((range) => ({ range, reading: shared.within(range, session.watermark) }));
}

/** The index of each session, which knows where it has come to as long as ranges ascend. */
class Indexes {
  readonly #place: Place;
  readonly #known = new Map<SessionId, { readonly index: SessionIndex; readonly last: number }>();

  constructor(place: Place) {
    this.#place = place;
  }

  read(session: ArchivedSession, { first, last }: SequenceRange): SequenceReading {
    const { opened, channel, partitions } = this.#place;
    const request = { kind: 'sequences', session: session.session, first, last } as const;
    const found = { session, partitions };
    const plan = planSequences(opened, channel, { ...request, order: 'asc' }, found);
    const known = this.#known.get(session.session);
    const index = known !== undefined && known.last < first ? known.index : new SessionIndex(plan);
    this.#known.set(session.session, { index, last });
    return new SequenceReading(plan, index);
  }
}

/** A reading of several ranges in turn, ascending. */
class SharedReading {
  readonly #reading: SequenceReading;
  #page: MessagePage | undefined;
  /** Through which sequence the pages so far have told. */
  #through = 0;

  constructor(reading: SequenceReading) {
    this.#reading = reading;
  }

  /** The reading of one range; the next is to be read behind it. */
  within(range: SessionRange, watermark: number): MessageReading {
    const { archivedThrough, unsettled } = this.#reading;
    const rest = (): number => Math.max(range.first, this.#through + 1);
    return {
      archivedThrough,
      unsettled: range.last > watermark ? unsettled : undefined,
      order: 'asc',
      nextPage: () => this.#nextPage(range),
      get remaining() {
        return Math.max(0, range.last - rest() + 1);
      },
      get resume(): SequenceRequest {
        return { kind: 'sequences', ...range, first: rest(), order: 'asc' };
      },
    };
  }

  async #nextPage(range: SessionRange): Promise<MessagePage> {
    while (this.#page === undefined || this.#through < range.first) {
      this.#page = await this.#reading.nextPage(Number.MAX_SAFE_INTEGER);
      const { first = 1 } = this.#reading.resume;
      this.#through = this.#page.isLast ? SEQUENCE_MAX : first - 1;
    }
    const entries = this.#page.entries.flatMap((entry) => within(entry, range));
    const isLast = this.#through >= range.last;
    if (!isLast) this.#page = undefined;
    return makePage(entries, 'asc', isLast);
  }
}

/** What of `entry`, whose numbers are all messages, lies in `range`. */
function within(entry: PageEntry, range: SequenceRange): PageEntry[] {
  if (entry.kind !== 'messages') {
    const first = Math.max(entry.first, range.first);
    const last = Math.min(entry.last, range.last);
    if (first > last) return [];
    if (first === entry.first && last === entry.last) return [entry];
    const count = { messageCount: last - first + 1 };
    return [{ ...entry, first, last, ...(entry.kind === 'deletion' && count) }];
  }
  const skipped = Math.max(0, range.first - entry.firstSequence);
  const beyond = Math.max(0, lastSequenceOf(entry) - range.last);
  if (skipped + beyond >= entry.messageCount) return [];
  const begun = cutRun(entry, entry.messageCount - skipped, 'end');
  return [cutRun(begun, begun.messageCount - beyond, 'start')];
}
