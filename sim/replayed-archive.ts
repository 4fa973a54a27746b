// What a modelled store lets others read: positions in order with the losses between them, ranges
// of sessions, and where each session stands; always as of the last commit. Stands where the replay
// API and its HTTP are in a real cluster.

import { assert, type LossCause, type SequenceRange, type SessionId } from '#base/mod.ts';
import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
import type {
  ArchiveStand,
  FetchedEntry,
  ReplayEntry,
  ReplayedRun,
  SessionRange,
} from '#client/mod.ts';

interface StoredRun extends SequenceRange {
  readonly session: SessionId;
  readonly firstPosition: number;
}

interface StoredLoss extends SequenceRange {
  readonly session: SessionId;
  readonly cause: LossCause;
  /** Runs before it. */
  readonly afterRuns: number;
}

/** One channel of a modelled store, as its readers see it. */
export class ReplayedArchive {
  readonly #payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined;
  readonly #runs: StoredRun[] = [];
  readonly #losses: StoredLoss[] = [];
  readonly #sessions = new Map<SessionId, SessionProgress>();
  #head = 0;

  /** `payloadOf` gives what was published. */
  constructor(payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined) {
    this.#payloadOf = payloadOf;
  }

  /** The last position. */
  get head(): number {
    return this.#head;
  }

  /** Takes what a batch has made durable. */
  store(batch: ArchiveBatch): void {
    const losses = batch.losses.toSorted((one, other) => one.afterPosition - other.afterPosition);
    const lossesUpTo = (position: number): void => {
      for (let [loss] = losses; loss !== undefined && loss.afterPosition <= position; ) {
        losses.shift();
        this.#lose(loss.session, loss.firstSequence, loss.lastSequence, loss.cause);
        [loss] = losses;
      }
    };
    for (const { firstPosition, runs } of batch.segments) {
      let position = firstPosition;
      for (const { session, firstSequence, length } of runs) {
        // A loss in the middle of a run is another session's: it stands behind the run.
        lossesUpTo(position - 1);
        const last = firstSequence + length - 1;
        this.#runs.push({ session, first: firstSequence, last, firstPosition: position });
        position += length;
        this.#head = position - 1;
      }
    }
    lossesUpTo(Number.POSITIVE_INFINITY);
    for (const progress of batch.sessions) this.#sessions.set(progress.session, progress);
  }

  /** Whether the archive has declared it lost. */
  isLost(session: SessionId, sequence: number): boolean {
    return this.#lossesOf(session).some((loss) => loss.first <= sequence && sequence <= loss.last);
  }

  /** What is known of a session. */
  progressOf(session: SessionId): SessionProgress | undefined {
    return this.#sessions.get(session);
  }

  /** What a reading tells that begins now. */
  read(afterPosition: number): ReplayEntry[] {
    const found = this.#runs.findIndex((run) => lastPositionOf(run) > afterPosition);
    const start = found < 0 ? this.#runs.length : found;
    const entries: ReplayEntry[] = [];
    let next = this.#losses.findIndex(({ afterRuns }) => afterRuns >= start);
    if (next < 0) next = this.#losses.length;
    for (let index = start; index <= this.#runs.length; index += 1) {
      for (; this.#losses[next]?.afterRuns === index; next += 1) {
        const loss = this.#losses[next];
        if (loss !== undefined) entries.push(lossEntry(loss, loss));
      }
      const run = this.#runs[index];
      if (run === undefined) continue;
      const skipped = Math.max(0, afterPosition + 1 - run.firstPosition);
      entries.push(this.#runEntry(run, { first: run.first + skipped, last: run.last }));
    }
    return [...entries, { kind: 'end', archivedThrough: this.#head }];
  }

  /** What a fetch tells that is made now. */
  fetch(ranges: readonly SessionRange[]): FetchedEntry[] {
    return [...ranges.flatMap((range) => this.#fetchRange(range)), { kind: 'end' }];
  }

  /** Where it stands, of all sessions. */
  stand(): ArchiveStand {
    const sessions = [...this.#sessions.values()].map(({ session, watermark, state }) => {
      return { session, watermark, state };
    });
    return { archivedThrough: this.#head, sessions };
  }

  #fetchRange({ session, first, last }: SessionRange): FetchedEntry[] {
    const progress = this.#sessions.get(session);
    const watermark = progress?.watermark ?? 0;
    const within = (one: SequenceRange): SequenceRange => {
      return { first: Math.max(first, one.first), last: Math.min(last, one.last) };
    };
    const entries: (FetchedEntry & SequenceRange)[] = [];
    for (const run of this.#runs) {
      const cut = within(run);
      if (run.session === session && cut.first <= cut.last)
        entries.push({ ...this.#runEntry(run, cut), ...cut });
    }
    for (const loss of this.#lossesOf(session)) {
      const cut = within(loss);
      if (cut.first <= cut.last) entries.push(lossEntry(loss, cut));
    }
    entries.sort((one, other) => one.first - other.first);
    if (last <= watermark) return entries;
    const isOver = progress !== undefined && progress.state !== 'open';
    const kind = isOver ? 'unknown' : 'unsettled';
    return [...entries, { kind, session, first: Math.max(first, watermark + 1), last }];
  }

  #runEntry({ session, first, firstPosition }: StoredRun, cut: SequenceRange): ReplayedRun {
    const payloads: Uint8Array[] = [];
    const payloadEnds: number[] = [];
    let payloadBytes = 0;
    for (let sequence = cut.first; sequence <= cut.last; sequence += 1) {
      const payload = this.#payloadOf(session, sequence);
      assert(payload !== undefined, 'what is stored was published');
      payloads.push(payload);
      payloadBytes += payload.length;
      payloadEnds.push(payloadBytes);
    }
    return {
      kind: 'messages',
      session,
      source: null,
      firstPosition: firstPosition + cut.first - first,
      firstSequence: cut.first,
      messageCount: payloads.length,
      throughSequence: cut.last,
      archivedAtUs: 0,
      publishedAtUs: payloads.map(() => 0),
      payloadEnds,
      payloads: Buffer.concat(payloads),
    };
  }

  #lossesOf(session: SessionId): StoredLoss[] {
    return this.#losses.filter((loss) => loss.session === session);
  }

  /** A batch without messages may be repeated: what it lost is lost already. */
  #lose(session: SessionId, first: number, last: number, cause: LossCause): void {
    if (this.isLost(session, first)) return;
    this.#losses.push({ session, first, last, cause, afterRuns: this.#runs.length });
  }
}

function lastPositionOf({ firstPosition, first, last }: StoredRun): number {
  return firstPosition + last - first;
}

function lossEntry({ session, cause }: StoredLoss, { first, last }: SequenceRange) {
  return { kind: 'loss', session, first, last, cause } as const;
}
