// What a page of messages is made of: runs of messages of one session, and losses and deletions
// where they lie between them. Pure: cuts segments to what was asked for and puts the others in
// their places. Knows no SQL.

import type { LossCause, SequenceRange, SessionId } from '#base/mod.ts';
import type { ArchivedRun, ArchivedSegment } from './read-decode.ts';

/** Messages of one session with consecutive positions and consecutive sequences, in one segment. */
export interface MessageRun {
  readonly kind: 'messages';
  readonly segment: ArchivedSegment;
  readonly session: SessionId;
  /** Of the first message within the segment. */
  readonly firstIndex: number;
  readonly firstSequence: number;
  readonly messageCount: number;
  /** The last number accounted for: behind the last message may come some that name none. */
  readonly throughSequence: number;
  readonly archivedAtUs: number;
}

/** Sequences of a session that the archive will not have: declared lost and not healed. */
export interface Loss {
  readonly kind: 'loss';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  /** Packets of a foreign source; null where every number from first to last is a message. */
  readonly packetCount: number | null;
  readonly cause: LossCause;
  /** The position after which the messages would have come. */
  readonly afterPosition: number;
  readonly detectedAtUs: number;
  readonly declaredAtUs: number;
}

/** Sequences of a session that were archived, and that a policy has deleted since. */
export interface Deletion {
  readonly kind: 'deletion';
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  /** How many of the sequences were messages; null where a foreign source's are cut. */
  readonly messageCount: number | null;
  /** Every position from the first to the last was deleted, of this session or of others. */
  readonly firstPosition: number;
  readonly lastPosition: number;
  /** The messages were published within these, both included. */
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
  readonly deletedAtUs: number;
  /** By which policy, such as `age 30d`. */
  readonly policy: string;
}

/** One thing in a page, in the order of the page. */
export type PageEntry = MessageRun | Loss | Deletion;

/** Which messages of a segment belong to the answer. */
export interface Selector {
  readonly positions: SequenceRange;
  /** Half-open interval of publish times in microseconds, or undefined for all. */
  readonly published: { readonly startUs: number; readonly endUs: number } | undefined;
  /** Only this session and these sequences, or undefined for all. */
  readonly sequences: (SequenceRange & { readonly session: SessionId }) | undefined;
}

/** The position of the first message of `run`. */
export function firstPositionOf(run: MessageRun): number {
  return run.segment.firstPosition + run.firstIndex;
}

/** Bytes of all payloads in `run`. */
export function payloadBytesOf(run: MessageRun): number {
  const { payloadStarts, payloadEnds } = run.segment;
  let sum = 0;
  for (let index = run.firstIndex; index < run.firstIndex + run.messageCount; index += 1) {
    sum += payloadEnds[index] - payloadStarts[index];
  }
  return sum;
}

/** The runs of `segment` that `selector` admits, in order of position. */
export function selectRuns(segment: ArchivedSegment, selector: Selector): MessageRun[] {
  const selected: MessageRun[] = [];
  let index = 0;
  for (const run of segment.runs) {
    const end = index + run.length;
    const { positions, sequences } = selector;
    if (sequences === undefined || sequences.session === run.session) {
      const toSequence = run.firstSequence - index;
      let start = Math.max(index, positions.first - segment.firstPosition);
      let stop = Math.min(end, positions.last - segment.firstPosition + 1);
      if (sequences !== undefined) {
        start = Math.max(start, sequences.first - toSequence);
        stop = Math.min(stop, sequences.last - toSequence + 1);
      }
      pushPublished(selected, segment, run, { toSequence, start, stop }, selector.published);
    }
    index = end;
  }
  return selected;
}

function pushPublished(
  selected: MessageRun[],
  segment: ArchivedSegment,
  { session, firstSequence: runFirst, length, lastSequence, archivedAtUs }: ArchivedRun,
  part: { readonly toSequence: number; readonly start: number; readonly stop: number },
  published: Selector['published'],
): void {
  const { toSequence, start, stop: end } = part;
  let index = start;
  while (index < end) {
    const first = published === undefined ? index : skip(segment, index, end, published, false);
    const stop = published === undefined ? end : skip(segment, first, end, published, true);
    if (stop > first) {
      const firstSequence = first + toSequence;
      const messageCount = stop - first;
      const isRunEnd = stop + toSequence === runFirst + length;
      selected.push({
        kind: 'messages',
        segment,
        session,
        firstIndex: first,
        firstSequence,
        messageCount,
        throughSequence: isRunEnd ? lastSequence : stop + toSequence - 1,
        archivedAtUs,
      });
    }
    index = stop;
  }
}

/** The first index in [start, end) that is not `within` the interval as stated, or `end`. */
function skip(
  segment: ArchivedSegment,
  start: number,
  end: number,
  published: { readonly startUs: number; readonly endUs: number },
  within: boolean,
): number {
  const instants = segment.publishedAtUs;
  let index = start;
  while (index < end) {
    const isWithin = instants[index] >= published.startUs && instants[index] < published.endUs;
    if (isWithin !== within) break;
    index += 1;
  }
  return index;
}

/** The numbers within `sequences` that `segment` accounts for, in order. */
export function coveredSequences(
  segment: ArchivedSegment,
  sequences: SequenceRange & { readonly session: SessionId },
): SequenceRange[] {
  return segment.runs.flatMap(({ session, firstSequence, lastSequence }) => {
    const first = Math.max(firstSequence, sequences.first);
    const last = Math.min(lastSequence, sequences.last);
    return session === sequences.session && first <= last ? [{ first, last }] : [];
  });
}

/** The first `count` messages of `run`, or its last ones. */
export function cutRun(run: MessageRun, count: number, from: 'start' | 'end'): MessageRun {
  if (count >= run.messageCount) return run;
  const skipped = from === 'start' ? 0 : run.messageCount - count;
  const firstSequence = run.firstSequence + skipped;
  return {
    ...run,
    firstIndex: run.firstIndex + skipped,
    firstSequence,
    messageCount: count,
    throughSequence: from === 'start' ? firstSequence + count - 1 : run.throughSequence,
  };
}

/**
 * `runs` with `missing` between them, both in ascending order. `lastOf` gives the last place
 * (position or sequence) of a run, `placeOf` the place after which a loss or deletion comes; a run
 * that spans it is cut in two.
 */
export function interleave(
  runs: readonly MessageRun[],
  missing: readonly (Loss | Deletion)[],
  lastOf: (run: MessageRun) => number,
  placeOf: (one: Loss | Deletion) => number,
): PageEntry[] {
  const entries: PageEntry[] = [];
  let next = 0;
  for (const whole of runs) {
    let run = whole;
    while (next < missing.length && placeOf(missing[next]) < lastOf(run)) {
      const after = lastOf(run) - placeOf(missing[next]);
      if (after < run.messageCount) {
        entries.push(cutRun(run, run.messageCount - after, 'start'));
        run = cutRun(run, after, 'end');
      }
      entries.push(missing[next]);
      next += 1;
    }
    entries.push(run);
  }
  return [...entries, ...missing.slice(next)];
}

/** The last position of `run`. */
export function lastPositionOf(run: MessageRun): number {
  return firstPositionOf(run) + run.messageCount - 1;
}

/** The sequence of the last message of `run`. */
export function lastSequenceOf(run: MessageRun): number {
  return run.firstSequence + run.messageCount - 1;
}
