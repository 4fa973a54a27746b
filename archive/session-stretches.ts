// Which sequences of which session a segment holds: the rows of the sparse index segment_sessions.
// A row is a stretch of consecutive sequences, as long as it can be, but healed ones have rows of
// their own. So the rows of a session never overlap, and but for the healed ones they rise with
// time, which is what finding a sequence rests on. Pure.

import type { SequenceRange, SessionId } from '#base/mod.ts';
import type { SegmentRun } from '#archive/segment/mod.ts';

/** One row of the index. */
export interface SessionStretch {
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  /** Whether a loss was declared of these sequences before they were stored. */
  readonly isHealed: boolean;
}

/** A range of a session. */
export interface SessionRange extends SequenceRange {
  readonly session: SessionId;
}

/**
 * The stretches of `runs`, in any order, cut at the edges of what is `healed`. Linear in the runs
 * where each session's sequences ascend, as they do unless something is healed.
 */
export function sessionStretches(
  runs: readonly SegmentRun[],
  healed: readonly SessionRange[],
): SessionStretch[] {
  const stretches: SessionStretch[] = [];
  for (const [session, ranges] of joinedRanges(runs)) {
    const own = healed.filter((range) => range.session === session);
    for (const range of ranges) {
      for (const cut of cutAt(range, own)) stretches.push({ session, ...cut });
    }
  }
  return stretches;
}

function joinedRanges(runs: readonly SegmentRun[]): Map<SessionId, SequenceRange[]> {
  const found = new Map<SessionId, { first: number; last: number }[]>();
  const unsorted = new Set<SessionId>();
  for (const { session, firstSequence, lastSequence } of runs) {
    const ranges = found.get(session);
    const before = ranges?.at(-1);
    if (ranges === undefined || before === undefined) {
      found.set(session, [{ first: firstSequence, last: lastSequence }]);
    } else if (firstSequence === before.last + 1) {
      before.last = lastSequence;
    } else {
      if (firstSequence < before.first) unsorted.add(session);
      ranges.push({ first: firstSequence, last: lastSequence });
    }
  }
  for (const session of unsorted) found.set(session, joined(found.get(session) ?? []));
  return found;
}

function joined(ranges: readonly SequenceRange[]): { first: number; last: number }[] {
  const result: { first: number; last: number }[] = [];
  for (const { first, last } of ranges.toSorted((one, other) => one.first - other.first)) {
    const before = result.at(-1);
    if (before !== undefined && first === before.last + 1) before.last = last;
    else result.push({ first, last });
  }
  return result;
}

/** `range` in pieces that lie wholly inside or wholly outside of what is healed. */
function cutAt(
  range: SequenceRange,
  healed: readonly SequenceRange[],
): (SequenceRange & { readonly isHealed: boolean })[] {
  const inside = joined(healed)
    .map(({ first, last }) => ({
      first: Math.max(first, range.first),
      last: Math.min(last, range.last),
    }))
    .filter(({ first, last }) => first <= last);
  const cuts: (SequenceRange & { readonly isHealed: boolean })[] = [];
  let next = range.first;
  for (const { first, last } of inside) {
    if (first > next) cuts.push({ first: next, last: first - 1, isHealed: false });
    cuts.push({ first, last, isHealed: true });
    next = last + 1;
  }
  if (next <= range.last) cuts.push({ first: next, last: range.last, isHealed: false });
  return cuts;
}
