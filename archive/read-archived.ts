// Reads by when the archive took something in: messages archived, and losses declared, within a
// half-open interval. Positions rise with the archive's time but for a clock that is set back, so
// the interval lies within a stretch of positions, and what of the stretch does not belong is left
// out. When the messages of a deletion were archived is no longer known: a deletion is left out
// only if what is kept around it says that it lies elsewhere.

import { sql } from 'kysely';
import { COMPACTED_SPAN_MS, type SequenceRange } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { Channel } from './read.ts';
import { deletionsByTime, isDeletedBefore } from './read-deletions.ts';
import type { Deletion, PageEntry } from './read-entries.ts';
import {
  historyGone,
  makePage,
  type MessagePage,
  type MessageReading,
  type PositionRequest,
  type Unsettled,
} from './read-page.ts';
import { loadPartitionBounds, type PartitionBounds } from './read-partitions.ts';
import { INSTANT_US_MAX, INSTANT_US_MIN, instantValue, rowsOf } from './read-sql.ts';

const DAY_US = 86_400_000_000;
const SPAN_US = COMPACTED_SPAN_MS * 1_000;
/** A message is archived after it was published, as far as two clocks agree. */
const CLOCK_SKEW_US = 1_000_000;
/** An append has its time when it begins, and this long at most to be committed. */
const APPEND_SECONDS_MAX = 60;

/** Half-open interval of archive times in microseconds since 1970. */
interface ArchivedTimes {
  readonly startUs: number;
  readonly endUs: number;
}

/** Whether `request` asks for an interval of archive times. */
export function isByArchiveTime(request: PositionRequest): boolean {
  return request.archivedFromUs !== undefined || request.archivedToUs !== undefined;
}

/**
 * Begins to read an interval of archive times; `open` reads the positions among which it lies.
 * BACKCAST_HISTORY_GONE if it begins with messages that are gone without a note of why.
 */
export async function openArchived(
  db: ArchiveDatabase,
  channel: Channel,
  request: PositionRequest,
  open: (request: PositionRequest) => Promise<MessageReading>,
): Promise<MessageReading> {
  const { channelId, archivedThrough } = channel;
  const times = timesOf(request);
  const partitions = await loadPartitionBounds(db, channelId);
  await assertKept(db, channelId, partitions, request);
  const stored = await storedWithin(db, channelId, partitions, times);
  const noted = await deletionsByTime(db, channelId, reachOf(times, partitions, archivedThrough), {
    startUs: INSTANT_US_MIN,
    endUs: Math.min(times.endUs + CLOCK_SKEW_US, INSTANT_US_MAX),
  });
  const deleted = noted.filter(({ deletedAtUs }) => deletedAtUs >= times.startUs);
  const places = await placesOfLosses(db, channelId, archivedThrough, times);
  const stretch = [stored, ...deleted.map(positionsOf), places]
    .filter((range) => range !== undefined)
    .reduce(union, { first: archivedThrough + 1, last: 0 });
  const edge = stretch.first - 1;
  const before = Math.min(request.before ?? Infinity, Math.max(stretch.last, edge) + 1);
  const inner = await open({
    ...request,
    archivedFromUs: undefined,
    archivedToUs: undefined,
    after: Math.min(Math.max(request.after ?? 0, edge), before - 1),
    before,
  });
  const isOpen = await mayStillArchive(db, channelId, times.endUs);
  const unsettled = isOpen ? { fromSequence: undefined } : inner.unsettled;
  return new ArchivedReading(inner, { request, times, deleted, unsettled });
}

/** What of a reading by position lies within an interval of archive times. */
class ArchivedReading implements MessageReading {
  readonly archivedThrough: number;
  readonly unsettled: Unsettled | undefined;
  readonly order: 'asc' | 'desc';
  readonly #inner: MessageReading;
  readonly #request: PositionRequest;
  readonly #times: ArchivedTimes;
  readonly #deleted: ReadonlySet<string>;

  constructor(
    inner: MessageReading,
    plan: {
      readonly request: PositionRequest;
      readonly times: ArchivedTimes;
      readonly deleted: readonly Deletion[];
      readonly unsettled: Unsettled | undefined;
    },
  ) {
    this.#inner = inner;
    this.#request = plan.request;
    this.#times = plan.times;
    this.#deleted = new Set(plan.deleted.map(keyOf));
    this.archivedThrough = inner.archivedThrough;
    this.order = inner.order;
    this.unsettled = plan.unsettled;
  }

  get remaining(): number {
    return this.#inner.remaining;
  }

  get resume(): PositionRequest {
    const { resume } = this.#inner;
    if (resume.kind !== 'positions') return this.#request;
    const { after, before, seenThrough } = resume;
    const place = this.order === 'asc' ? { after } : { before };
    return { ...this.#request, ...place, seenThrough };
  }

  async nextPage(messagesMax: number): Promise<MessagePage> {
    const { entries, isLast, letGo } = await this.#inner.nextPage(messagesMax);
    const within = entries.filter((entry) => this.#isWithin(entry));
    return { ...makePage(within, 'asc', isLast), letGo };
  }

  #isWithin(entry: PageEntry): boolean {
    if (entry.kind === 'deletion') return this.#deleted.has(keyOf(entry));
    const us = entry.kind === 'loss' ? entry.declaredAtUs : entry.archivedAtUs;
    return us >= this.#times.startUs && us < this.#times.endUs;
  }
}

function timesOf({ archivedFromUs, archivedToUs }: PositionRequest): ArchivedTimes {
  return {
    startUs: Math.max(INSTANT_US_MIN, archivedFromUs ?? INSTANT_US_MIN),
    endUs: Math.min(archivedToUs ?? INSTANT_US_MAX, INSTANT_US_MAX),
  };
}

async function assertKept(
  db: ArchiveDatabase,
  channelId: number,
  partitions: readonly PartitionBounds[],
  { after, archivedFromUs }: PositionRequest,
): Promise<void> {
  const kept = partitions[0];
  if (kept === undefined || kept.firstPosition === 1) return;
  if (archivedFromUs === undefined || archivedFromUs >= kept.startUs) return;
  if (after !== undefined && after + 1 >= kept.firstPosition) return;
  if (await isDeletedBefore(db, channelId, kept.firstPosition)) return;
  throw historyGone(
    'Messages at the beginning of this interval',
    `Kept are those after position ${kept.firstPosition - 1}.`,
  );
}

/** The positions from the first segment that reaches into `times` to the last one that does. */
async function storedWithin(
  db: ArchiveDatabase,
  channelId: number,
  partitions: readonly PartitionBounds[],
  times: ArchivedTimes,
): Promise<SequenceRange | undefined> {
  const days = partitions.filter(
    ({ startUs }) => startUs < times.endUs && startUs + DAY_US > times.startUs,
  );
  let first: number | undefined;
  for (const day of days) {
    first = await segmentEdge(db, channelId, { day, times, order: 'asc' });
    if (first !== undefined) break;
  }
  let last: number | undefined;
  for (const day of days.toReversed()) {
    last = await segmentEdge(db, channelId, { day, times, order: 'desc' });
    if (last !== undefined) break;
  }
  return first === undefined || last === undefined ? undefined : { first, last };
}

/** A merged segment begins up to an hour before its last messages were archived. */
async function segmentEdge(
  db: ArchiveDatabase,
  channelId: number,
  look: {
    readonly day: PartitionBounds;
    readonly times: ArchivedTimes;
    readonly order: 'asc' | 'desc';
  },
): Promise<number | undefined> {
  const { day, times, order } = look;
  const startUs = Math.max(day.startUs, times.startUs - SPAN_US);
  const endUs = Math.min(day.startUs + DAY_US, times.endUs);
  const edge = order === 'asc' ? 'first_position' : 'first_position + message_count - 1';
  const rows = await rowsOf(
    sql<{ position: number }>`
    SELECT ${sql.raw(edge)} AS position FROM segments
    WHERE channel_id = ${channelId}
      AND archived_at >= ${instantValue(startUs)} AND archived_at < ${instantValue(endUs)}
      AND first_position BETWEEN ${day.firstPosition} AND ${day.lastPosition}
      AND coalesce(run_archived_at[array_upper(run_archived_at, 1)], archived_at)
          >= ${instantValue(times.startUs)}
    ORDER BY first_position ${sql.raw(order)} LIMIT 1`.execute(db),
  );
  return rows.at(0)?.position;
}

/** The positions next to which the losses stand that were declared within `times`. */
async function placesOfLosses(
  db: ArchiveDatabase,
  channelId: number,
  archivedThrough: number,
  times: ArchivedTimes,
): Promise<SequenceRange | undefined> {
  const [places] = await rowsOf(
    sql<{ first: number | null; last: number | null }>`
    SELECT min(after_position) AS first, max(after_position) AS last FROM losses
    WHERE channel_id = ${channelId}
      AND (healed_position IS NULL OR healed_position > ${archivedThrough})
      AND declared_at >= ${instantValue(times.startUs)}
      AND declared_at < ${instantValue(times.endUs)}`.execute(db),
  );
  if (places.first === null || places.last === null) return undefined;
  return { first: places.first + 1, last: places.last };
}

/** Between what is kept of days before `times` and of days behind: where else it was not. */
function reachOf(
  times: ArchivedTimes,
  days: readonly PartitionBounds[],
  archivedThrough: number,
): SequenceRange {
  const before = days.filter(({ startUs }) => startUs + DAY_US <= times.startUs);
  const behind = days.filter(({ startUs }) => startUs >= times.endUs);
  return {
    first: Math.max(1, ...before.map(({ firstPosition }) => firstPosition)),
    last: Math.min(archivedThrough, ...behind.map(({ lastPosition }) => lastPosition)),
  };
}

/** Whether something may still get a time before `endUs`: an append that is under way has it. */
async function mayStillArchive(
  db: ArchiveDatabase,
  channelId: number,
  endUs: number,
): Promise<boolean> {
  if (endUs >= INSTANT_US_MAX) return false;
  const latest = sql.raw(`now() - interval '${APPEND_SECONDS_MAX} seconds'`);
  const [{ isSettled }] = await rowsOf(
    sql<{ isSettled: boolean }>`
    SELECT ${instantValue(endUs)} < ${latest} OR EXISTS (
      SELECT 1 FROM segments
      WHERE channel_id = ${channelId} AND archived_at >= ${instantValue(endUs)}
        AND archived_at < ${instantValue(Math.min(endUs + DAY_US, INSTANT_US_MAX))}
    ) AS "isSettled"`.execute(db),
  );
  return !isSettled;
}

function positionsOf({ firstPosition, lastPosition }: Deletion): SequenceRange {
  return { first: firstPosition, last: lastPosition };
}

/** A range without positions still moves an edge: what is lost may lie there. */
function union(one: SequenceRange, other: SequenceRange): SequenceRange {
  return { first: Math.min(one.first, other.first), last: Math.max(one.last, other.last) };
}

function keyOf({ session, first }: Deletion): string {
  return `${session}/${first}`;
}
