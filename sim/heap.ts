// A binary heap: things that are due at some time, the earliest first, and those due at once in
// the order in which they came. What makes a world of a thousand nodes affordable. Not a scheduler:
// it holds, and hands out.

interface Entry<Thing> {
  readonly atMs: number;
  readonly order: number;
  readonly thing: Thing;
}

/** Things by the time they are due. `push` and `take` cost O(log n). */
export class DueHeap<Thing> {
  readonly #entries: Entry<Thing>[] = [];
  #order = 0;

  /** When the first is due, or Infinity. */
  get nextAtMs(): number {
    return this.#entries[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Adds `thing`, due at `atMs`. */
  push(thing: Thing, atMs: number): void {
    const entries = this.#entries;
    const entry = { atMs, order: this.#order, thing };
    this.#order += 1;
    let at = entries.length;
    entries.push(entry);
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = entries[above];
      if (parent === undefined || !isBefore(entry, parent)) break;
      entries[at] = parent;
      at = above;
    }
    entries[at] = entry;
  }

  /** Takes out the first that is due at `nowMs`, or undefined. */
  take(nowMs: number): Thing | undefined {
    const first = this.#entries[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = this.#entries.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    return first.thing;
  }

  #sink(entry: Entry<Thing>): void {
    const entries = this.#entries;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      let child = entries[below];
      const right = entries[below + 1];
      if (child === undefined) break;
      if (right !== undefined && isBefore(right, child)) {
        below += 1;
        child = right;
      }
      if (!isBefore(child, entry)) break;
      entries[at] = child;
      at = below;
    }
    entries[at] = entry;
  }
}

function isBefore(one: Entry<unknown>, other: Entry<unknown>): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
