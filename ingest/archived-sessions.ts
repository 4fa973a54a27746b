// What publishers may be told: of each session that is not over, through which sequence it is
// archived and what of that is lost. Made of the batches that were committed, and of nothing else.
// Pure.
//
// The archive remembers losses from before this archiver had the channel. A session that is first
// committed here with a past is `unknown` until somebody has looked them up; nothing is told of it
// until then, since what was lost would pass for archived.

import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
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
  #epoch = 0;

  /** `onArchived` is told, after each batch, how much of its sessions is archived now. */
  constructor(onArchived: (session: SessionId, archived: Acknowledgement) => void) {
    this.#onArchived = onArchived;
  }

  /** A session whose earlier losses somebody has to look up; undefined if there is none. */
  get unknown(): SessionId | undefined {
    return this.#unknown.values().next().value;
  }

  /** `batch` is durable. Under another epoch, others may have written in between. */
  committed(batch: ArchiveBatch): void {
    if (batch.epoch !== this.#epoch) this.#forget(batch.epoch);
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

  #forget(epoch: number): void {
    this.#epoch = epoch;
    this.#sessions.clear();
    this.#unknown.clear();
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

/** Sessions of which the batch holds the first sequence, so that nothing was lost before it. */
function beginningIn({ losses, segments }: ArchiveBatch): Set<SessionId> {
  const ranges = [...losses, ...segments.flatMap(({ runs }) => runs)];
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

function rangeOf(loss: {
  readonly firstSequence: number;
  readonly lastSequence: number;
}): SequenceRange {
  return { first: loss.firstSequence, last: loss.lastSequence };
}
