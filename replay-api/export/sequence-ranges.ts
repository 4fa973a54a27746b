// A set of sequences, kept as ranges: its size is the number of holes, not of sequences. Sequences
// nearly always come in order, so that adding costs one comparison.

/** A set of sequences. */
export class SequenceRanges {
  /** Ascending and apart from each other. */
  readonly #ranges: [first: number, last: number][];

  /** Begins with `ranges`, which are ascending and apart from each other. */
  constructor(ranges: readonly (readonly [number, number])[] = []) {
    this.#ranges = ranges.map(([first, last]) => [first, last]);
  }

  /** In order, adjacent ones put together. */
  get ranges(): readonly (readonly [number, number])[] {
    return this.#ranges;
  }

  /** Adds the sequences from `first` to `last`. */
  add(first: number, last: number): void {
    const end = this.#ranges.at(-1);
    if (end !== undefined && first >= end[0] && first <= end[1] + 1) {
      end[1] = Math.max(end[1], last);
    } else if (end === undefined || first > end[1]) {
      this.#ranges.push([first, last]);
    } else {
      this.#insert(first, last);
    }
  }

  #insert(first: number, last: number): void {
    const start = this.#ranges.findIndex((range) => range[1] >= first - 1);
    let end = start;
    let joined: [number, number] = [first, last];
    while (end < this.#ranges.length && this.#ranges[end][0] <= last + 1) {
      const [otherFirst, otherLast] = this.#ranges[end];
      joined = [Math.min(joined[0], otherFirst), Math.max(joined[1], otherLast)];
      end += 1;
    }
    this.#ranges.splice(start, end - start, joined);
  }
}
