// What was heard live and is not told yet, by session, bounded. Over the bound it slides: the
// oldest goes, whichever session it is of, and that session's seam moves up to what is left. Not
// what was told, nor what becomes of a hole (merge).
//
//              told ─► next        seam ─► heard through
//   session A  ─────────┤ · · · · ·  ├████████████┤
//                         the archive   buffered

import { assert, type SessionId } from '#base/mod.ts';
import { heldBytes, type LiveEntry, type LiveLost } from './merge-told.ts';

interface Buffered {
  readonly entry: LiveEntry;
  /** Counts what arrived, over all sessions. */
  readonly order: number;
}

interface Queue {
  /** Those before the head are gone, and hold nothing. */
  entries: (Buffered | undefined)[];
  /** Index of the first that is still there. */
  head: number;
  heardThrough: number;
}

/** An array is cut once this many of its first places are empty, and half of it. */
const EMPTY_PLACES_MAX = 1_024;

/** The buffer of one subscription. */
export class LiveBuffer {
  readonly #queues = new Map<SessionId, Queue>();
  readonly #filled = new Map<SessionId, Queue>();
  /** What was heard and let go, and not told since from elsewhere. */
  readonly #slid = new Map<SessionId, LiveLost>();
  #bytes = 0;
  #arrived = 0;

  /** What it holds takes this much. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether there is nothing to tell, nor was anything let go that should have been told. */
  get isEmpty(): boolean {
    return this.#filled.size === 0 && this.#slid.size === 0;
  }

  /** Adds what was heard. */
  push(entry: LiveEntry): void {
    const { session } = entry;
    const queue = this.#queues.get(session) ?? { entries: [], head: 0, heardThrough: 0 };
    this.#queues.set(session, queue);
    this.#filled.set(session, queue);
    queue.entries.push({ entry, order: this.#arrived });
    queue.heardThrough = entry.last;
    this.#arrived += 1;
    this.#bytes += heldBytes(entry);
  }

  /** The oldest entry of a session; its `first` is the seam. */
  headOf(session: SessionId): LiveEntry | undefined {
    const queue = this.#filled.get(session);
    return queue?.entries[queue.head]?.entry;
  }

  /** The last sequence heard, in the buffer or not; 0 if none was. */
  heardThrough(session: SessionId): number {
    return this.#queues.get(session)?.heardThrough ?? 0;
  }

  /** The oldest entry of each session that has one, or what was let go if nothing is left. */
  heads(): LiveEntry[] {
    const slid = [...this.#slid.values()].filter(({ session }) => !this.#filled.has(session));
    return [...this.#filled.values()].map((queue): LiveEntry => headOf(queue).entry).concat(slid);
  }

  /** Of the heads that are wanted the one that arrived first. */
  oldest(isWanted: (head: LiveEntry) => boolean): LiveEntry | undefined {
    let found: Buffered | undefined;
    for (const queue of this.#filled.values()) {
      const head = headOf(queue);
      if (found !== undefined && found.order < head.order) continue;
      if (isWanted(head.entry)) found = head;
    }
    return found?.entry;
  }

  /** Lets go of the oldest entry of a session, which must have one. */
  shift(session: SessionId): void {
    const queue = this.#filled.get(session);
    assert(queue !== undefined, 'a session whose entry is taken has one');
    this.#bytes -= heldBytes(headOf(queue).entry);
    queue.entries[queue.head] = undefined;
    queue.head += 1;
    if (queue.head === queue.entries.length) {
      queue.entries = [];
      queue.head = 0;
      this.#filled.delete(session);
    } else if (queue.head > EMPTY_PLACES_MAX && queue.head * 2 > queue.entries.length) {
      queue.entries = queue.entries.slice(queue.head);
      queue.head = 0;
    }
  }

  /** Lets go of what of a session lies wholly before `next`. */
  dropBefore(session: SessionId, next: number): void {
    if (next > (this.#slid.get(session)?.last ?? 0)) this.#slid.delete(session);
    for (;;) {
      const head = this.headOf(session);
      if (head === undefined || head.last >= next) return;
      this.shift(session);
    }
  }

  /** Lets go of the oldest until no more than `bytesMax` are held; how many entries that were. */
  slide(bytesMax: number): number {
    let count = 0;
    while (this.#bytes > bytesMax) {
      const oldest = this.oldest(() => true);
      if (oldest === undefined) break;
      this.shift(oldest.session);
      this.#letGo(oldest);
      count += 1;
    }
    return count;
  }

  #letGo({ session, first, last }: LiveEntry): void {
    const since = this.#slid.get(session)?.first ?? first;
    this.#slid.set(session, {
      kind: 'lost',
      session,
      first: since,
      last,
      cause: 'recorder_overrun',
    });
  }
}

function headOf({ entries, head }: Queue): Buffered {
  const buffered = entries[head];
  assert(buffered !== undefined, 'a queue that counts as filled has a head');
  return buffered;
}
