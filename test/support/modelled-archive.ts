// An archive as plain lists, for tests of those who recover from one: what is published is heard by
// it or lost, committed later, healed or deleted perhaps; readings and fetches answer from what is
// committed at the moment. Not a model of how it stores anything.

import type { Random, SessionId } from '#base/mod.ts';
import type {
  ArchiveStand,
  FetchedEntry,
  ReplayEntry,
  ReplayedRun,
  SessionRange,
} from '#client/replay-source.ts';

interface Kept {
  readonly session: SessionId;
  readonly sequence: number;
}

interface Loss extends SessionRange {
  readonly afterPosition: number;
  isHealed: boolean;
}

interface Pending {
  readonly session: SessionId;
  readonly sequence: number;
  readonly isLost: boolean;
}

/** Messages of a run at most. */
const RUN_MESSAGES_MAX = 5;

/** What message `sequence` of `session` says. */
export function payloadOf(session: SessionId, sequence: number): Uint8Array {
  return Buffer.from(`${session} ${sequence}`);
}

/** One channel in a modelled archive. */
export class ModelledArchive {
  readonly #kept: Kept[] = [];
  readonly #losses: Loss[] = [];
  readonly #pending: Pending[] = [];
  readonly #watermarks = new Map<SessionId, number>();
  #deletedThrough = 0;

  /** The last position. */
  get head(): number {
    return this.#kept.length;
  }

  /** Whether everything heard is committed. */
  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  /** A message was published; the archive heard it, or never will. */
  hear(session: SessionId, sequence: number, isLost: boolean): void {
    this.#pending.push({ session, sequence, isLost });
  }

  /** Commits the next `count` of what was heard. */
  commit(count: number): void {
    for (const { session, sequence, isLost } of this.#pending.splice(0, count)) {
      const afterPosition = this.head;
      const last = this.#losses.at(-1);
      if (!isLost) this.#kept.push({ session, sequence });
      else if (last?.session === session && last.last === sequence - 1 && !last.isHealed)
        this.#losses[this.#losses.length - 1] = { ...last, last: sequence };
      else
        this.#losses.push({
          session,
          first: sequence,
          last: sequence,
          afterPosition,
          isHealed: false,
        });
      this.#watermarks.set(session, sequence);
    }
  }

  /** Some loss turns out to be known to somebody, and is stored after all. */
  heal(random: Random): void {
    const unhealed = this.#losses.filter(({ isHealed }) => !isHealed);
    const loss = unhealed[Math.floor(random() * unhealed.length)];
    if (loss === undefined) return;
    loss.isHealed = true;
    for (let sequence = loss.first; sequence <= loss.last; sequence += 1)
      this.#kept.push({ session: loss.session, sequence });
  }

  /** A policy deletes everything through `position`. */
  delete(position: number): void {
    this.#deletedThrough = Math.max(this.#deletedThrough, Math.min(position, this.head));
  }

  /** Whether it was lost, healed later or not, or deleted. */
  isMissing(session: SessionId, sequence: number): boolean {
    const isLost = this.#losses.some(
      (loss) => loss.session === session && loss.first <= sequence && sequence <= loss.last,
    );
    return isLost || this.#positionsOf(session, sequence).some((at) => at <= this.#deletedThrough);
  }

  /** Positions at which the message stands: one, or none. */
  #positionsOf(session: SessionId, sequence: number): number[] {
    const index = this.#kept.findIndex(
      (kept) => kept.session === session && kept.sequence === sequence,
    );
    return index < 0 ? [] : [index + 1];
  }

  /** What a reading tells that begins now. */
  read(afterPosition: number): ReplayEntry[] {
    const entries: ReplayEntry[] = [];
    const deleted = new Map<SessionId, { first: number; last: number }[]>();
    for (let position = afterPosition + 1; position <= this.#deletedThrough; position += 1) {
      const kept = this.#kept[position - 1];
      if (kept === undefined) continue;
      const ranges = deleted.get(kept.session) ?? [];
      deleted.set(kept.session, ranges);
      const last = ranges.at(-1);
      if (last !== undefined && last.last === kept.sequence - 1) last.last = kept.sequence;
      else ranges.push({ first: kept.sequence, last: kept.sequence });
    }
    const lossesUpTo = (position: number): void => {
      for (const { session, first, last, afterPosition: at, isHealed } of this.#losses)
        if (!isHealed && at === position && at >= afterPosition)
          entries.push({ kind: 'loss', session, first, last, cause: 'repair_expired' });
    };
    for (let at = afterPosition; at < this.#deletedThrough; at += 1) lossesUpTo(at);
    for (const [session, ranges] of deleted)
      for (const { first, last } of ranges)
        entries.push({ kind: 'deletion', session, first, last });
    if (this.#deletedThrough > afterPosition) sortMissing(entries);
    for (let at = Math.max(afterPosition, this.#deletedThrough); at <= this.head; at += 1) {
      lossesUpTo(at);
      const kept = this.#kept[at];
      if (kept !== undefined) pushMessage(entries, kept, at + 1);
    }
    return [...entries, { kind: 'end', archivedThrough: this.head }];
  }

  /** What a fetch tells that is made now. */
  fetch(ranges: readonly SessionRange[]): FetchedEntry[] {
    const entries: FetchedEntry[] = [];
    for (const { session, first, last } of ranges) {
      const watermark = this.#watermarks.get(session) ?? 0;
      for (let sequence = first; sequence <= Math.min(last, watermark); sequence += 1) {
        const [position] = this.#positionsOf(session, sequence);
        const one = { session, first: sequence, last: sequence };
        if (position === undefined) entries.push({ kind: 'loss', ...one, cause: 'repair_expired' });
        else if (position <= this.#deletedThrough) entries.push({ kind: 'deletion', ...one });
        else pushMessage(entries, { session, sequence }, position);
      }
      if (last > watermark)
        entries.push({ kind: 'unsettled', session, first: Math.max(first, watermark + 1), last });
    }
    return [...entries, { kind: 'end' }];
  }

  /** Where it stands. */
  stand(): ArchiveStand {
    const sessions = [...this.#watermarks].map(([session, watermark]) => {
      return { session, watermark, state: 'open' as const };
    });
    return { archivedThrough: this.head, sessions };
  }
}

/** What is missing in one place comes by session, in order of its sequences. */
function sortMissing(entries: ReplayEntry[]): void {
  entries.sort((one, other) => {
    if (one.kind === 'end' || other.kind === 'end') return 0;
    if (one.kind === 'messages' || other.kind === 'messages') return 0;
    if (one.session !== other.session) return one.session < other.session ? -1 : 1;
    return one.first - other.first;
  });
}

function pushMessage(entries: (ReplayEntry | FetchedEntry)[], kept: Kept, position: number): void {
  const { session, sequence } = kept;
  const payload = payloadOf(session, sequence);
  const last = entries.at(-1);
  if (
    last?.kind === 'messages' &&
    last.session === session &&
    last.throughSequence === sequence - 1 &&
    last.firstPosition + last.messageCount === position &&
    last.messageCount < RUN_MESSAGES_MAX
  ) {
    entries[entries.length - 1] = longer(last, payload);
    return;
  }
  entries.push({
    kind: 'messages',
    session,
    source: null,
    firstPosition: position,
    firstSequence: sequence,
    messageCount: 1,
    throughSequence: sequence,
    archivedAtUs: 1,
    publishedAtUs: [sequence],
    payloadEnds: [payload.length],
    payloads: payload,
  });
}

function longer(run: ReplayedRun, payload: Uint8Array): ReplayedRun {
  const payloads = Buffer.concat([run.payloads, payload]);
  return {
    ...run,
    messageCount: run.messageCount + 1,
    throughSequence: run.throughSequence + 1,
    publishedAtUs: [...Array.from(run.publishedAtUs), run.throughSequence + 1],
    payloadEnds: [...Array.from(run.payloadEnds), payloads.length],
    payloads,
  };
}
