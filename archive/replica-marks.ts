// How old the oldest thing is that a replica has not replayed: places in the log of its primary,
// each with the time since when the primary is known to have something new there. Bounded, however
// long a replica stands still: marks that are long past are put together, and are then as old as
// the oldest of them, so a replica is never taken for nearer than it is. Time comes in as an
// argument.

interface Mark {
  readonly lsn: bigint;
  readonly sinceMs: number;
}

/** A quarter of an hour, at one mark a second, before any are put together. */
const MARKS_MAX = 1_024;

/** The marks that one replica has not replayed, the oldest first. */
export class ReplicaMarks {
  #marks: Mark[] = [];
  #lastLsn: bigint | undefined;

  /** The primary has got to `lsn`. */
  add(lsn: bigint, nowMs: number): void {
    if (lsn === this.#lastLsn) return;
    this.#lastLsn = lsn;
    if (this.#marks.length === MARKS_MAX) this.#marks = inPairs(this.#marks);
    this.#marks.push({ lsn, sinceMs: nowMs });
  }

  /** The replica has replayed everything through `lsn`. */
  replayed(lsn: bigint): void {
    this.#marks = this.#marks.filter((mark) => mark.lsn > lsn);
  }

  /** For how long the primary has had what the replica lacks, at most; 0 if it lacks nothing. */
  behindMs(nowMs: number): number {
    const [oldest] = this.#marks;
    return oldest === undefined ? 0 : nowMs - oldest.sinceMs;
  }
}

/** Each two neighbours as one, which is replayed when both are. */
function inPairs(marks: readonly Mark[]): Mark[] {
  return marks
    .filter((_, index) => index % 2 === 1)
    .map(({ lsn }, pair) => ({ lsn, sinceMs: marks[2 * pair].sinceMs }));
}
