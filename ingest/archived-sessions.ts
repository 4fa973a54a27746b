// What publishers may be told: of each session that is not over, through which sequence it is
// archived and what of that is lost. Made of the batches that were committed, and of nothing else.
// Pure.
//
// The archive remembers losses from before this archiver had the channel. A session that is first
// committed here with a past is `unknown` until somebody has looked them up; nothing is told of it
// until then, since what was lost would pass for archived.

import type { ArchiveBatch, Heal, SessionProgress } from '#archive/mod.ts';
import type { SequenceRange, SessionId } from '#base/mod.ts';
import type { Acknowledgement } from '#multicast/core/mod.ts';
import { ARCHIVED_LOSSES_MAX } from '#multicast/wire/mod.ts';

interface Archived {
  through: number;
  nextSqn: number;
  exactFrom: number;
  lost: readonly SequenceRange[];
  isOver: boolean;
}

/** How many losses to look up: one more than are told, to see whether there are older ones. */
export const LOOKED_UP_LOSSES: number = ARCHIVED_LOSSES_MAX + 1;

/** The sessions of one channel. */
export class ArchivedSessions {
  readonly #onArchived: (session: SessionId, archived: Acknowledgement) => void;
  readonly #sessions = new Map<SessionId, Archived>();
  readonly #unknown = new Set<SessionId>();

  /** `onArchived` is told, after each batch, how much of its sessions is archived now. */
  constructor(onArchived: (session: SessionId, archived: Acknowledgement) => void) {
    this.#onArchived = onArchived;
  }

  /** A session whose earlier losses somebody has to look up; undefined if there is none. */
  get unknown(): SessionId | undefined {
    return this.#unknown.values().next().value;
  }

  /**
   * A term as the one who writes begins, with what the archive has: others may have written, so
   * what was known counts no more.
   */
  begin(sessions: readonly SessionProgress[]): void {
    this.#sessions.clear();
    this.#unknown.clear();
    for (const progress of sessions) {
      if (progress.isForeign || progress.watermark === 0 || progress.state !== 'open') continue;
      this.#advance(progress);
      this.#unknown.add(progress.session);
    }
  }

  /** `batch` is durable. */
  committed(batch: ArchiveBatch): void {
    for (const heal of batch.heals) this.#heal(heal);
    const losses = Map.groupBy(batch.losses, ({ session }) => session);
    let begun: ReadonlySet<SessionId> | undefined;
    for (const progress of batch.sessions) {
      const { session, isForeign, watermark } = progress;
      if (isForeign || watermark === 0) continue;
      if (!this.#sessions.has(session)) {
        begun ??= beginningIn(batch);
        if (!begun.has(session)) this.#unknown.add(session);
      }
      const archived = this.#advance(progress);
      const lost = losses.get(session);
      if (lost !== undefined) keepLosses(archived, lost.map(rangeOf));
      if (!this.#unknown.has(session)) this.#tell(session, archived);
    }
  }

  /** `lost` are the last losses of an unknown session: LOOKED_UP_LOSSES, or all if fewer. */
  learn(session: SessionId, lost: readonly SequenceRange[]): void {
    const archived = this.#sessions.get(session);
    if (archived === undefined || !this.#unknown.delete(session)) return;
    if (lost.length >= LOOKED_UP_LOSSES) archived.exactFrom = lost[0].first;
    keepLosses(archived, lost);
    this.#tell(session, archived);
  }

  /** What was lost is there now; of a session that is unknown, its losses are yet to be read. */
  #heal({ session, firstSequence: first, lastSequence: last }: Heal): void {
    const archived = this.#sessions.get(session);
    if (archived === undefined) return;
    archived.lost = archived.lost.flatMap((lost) => without(lost, { first, last }));
    if (!this.#unknown.has(session)) this.#tell(session, archived);
  }

  #advance({ session, watermark, resumeSqn, state }: SessionProgress): Archived {
    const archived: Archived = {
      exactFrom: 1,
      lost: [],
      ...this.#sessions.get(session),
      through: watermark,
      nextSqn: resumeSqn,
      isOver: state !== 'open',
    };
    this.#sessions.set(session, archived);
    return archived;
  }

  /** What is lost beyond the last batch that was committed here is another archiver's to tell. */
  #tell(session: SessionId, { through, nextSqn, exactFrom, lost, isOver }: Archived): void {
    const within = lost.filter(({ first }) => first <= through);
    const cut = within.map(({ first, last }) => ({ first, last: Math.min(last, through) }));
    const isExact = exactFrom <= through + 1;
    if (isExact) this.#onArchived(session, { through, nextSqn, exactFrom, lost: cut });
    if (isOver) this.#sessions.delete(session);
  }
}

/**
 * Sessions of which the batch holds the first sequence, so that nothing was lost before it; but
 * what it heals lies in the past.
 */
function beginningIn({ losses, segments, heals }: ArchiveBatch): Set<SessionId> {
  const healed = new Set(heals.map(({ session }) => session));
  const runs = segments.flatMap((segment) => segment.runs);
  const ranges = [...losses, ...runs].filter(({ session }) => !healed.has(session));
  const first = ranges.filter(({ firstSequence }) => firstSequence === 1);
  return new Set(first.map(({ session }) => session));
}

/** As many as an acknowledgement holds; what is lost before them is no longer told. */
function keepLosses(archived: Archived, more: readonly SequenceRange[]): void {
  const lost = joined([...archived.lost, ...more]);
  const excess = lost.length - ARCHIVED_LOSSES_MAX;
  archived.lost = excess > 0 ? lost.slice(excess) : lost;
  if (excess > 0) archived.exactFrom = Math.max(archived.exactFrom, lost[excess - 1].last + 1);
  archived.lost = archived.lost.filter(({ first }) => first >= archived.exactFrom);
}

/** The same sequences in order, with ranges that touch made one. */
function joined(ranges: readonly SequenceRange[]): SequenceRange[] {
  const inOrder = ranges.toSorted((one, other) => one.first - other.first);
  const whole: SequenceRange[] = [];
  for (const range of inOrder) {
    const last = whole.at(-1);
    if (last !== undefined && range.first <= last.last + 1)
      whole[whole.length - 1] = { first: last.first, last: Math.max(last.last, range.last) };
    else whole.push(range);
  }
  return whole;
}

/** What of `range` is not in `hole`. */
function without(range: SequenceRange, hole: SequenceRange): SequenceRange[] {
  if (hole.last < range.first || range.last < hole.first) return [range];
  const before = { first: range.first, last: hole.first - 1 };
  const behind = { first: hole.last + 1, last: range.last };
  return [before, behind].filter(({ first, last }) => first <= last);
}

function rangeOf(loss: {
  readonly firstSequence: number;
  readonly lastSequence: number;
}): SequenceRange {
  return { first: loss.firstSequence, last: loss.lastSequence };
}
