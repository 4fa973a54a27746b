// The archive as a model: what a batch makes durable, without a database. Its one transaction has
// the outcomes of the real one, fence and lost answer included, and every commit is checked: stored
// and lost sequences together are [first, watermark], each once; positions are dense; the bytes are
// those that were published. Not a model of SQL or of disks.

import { assert, type SequenceRange, type SessionId } from '#base/mod.ts';
import { type ArchiveBatch, headAfter, type SessionProgress } from '#archive/mod.ts';
import { ARRAY_HEADER_BYTES, type Segment, viewOf } from '#archive/segment/mod.ts';
import { isSameBytes } from './account.ts';

/** What is stored of one session: the next sequence not accounted for, and how it came there. */
interface StoredSession {
  next: number;
  stored: number;
  lost: number;
  readonly losses: SequenceRange[];
}

interface AccountedRange {
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly isStored: boolean;
}

/** One channel in a modelled archive. */
export class ModelledStore {
  readonly #payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined;
  readonly #onStored: (batch: ArchiveBatch) => void;
  readonly #progress = new Map<SessionId, SessionProgress>();
  readonly #accounts = new Map<SessionId, StoredSession>();
  /** The last sequence of each loss, by session and first sequence. */
  readonly #losses = new Map<string, number>();
  #head = 0;
  #epoch = 0;

  /** `onStored` sees each batch once, as it becomes durable, whoever learns of that. */
  constructor(
    payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined,
    onStored: (batch: ArchiveBatch) => void = () => undefined,
  ) {
    this.#payloadOf = payloadOf;
    this.#onStored = onStored;
  }

  /** The last archived position. */
  get head(): number {
    return this.#head;
  }

  /** Sequences declared lost, over all sessions. */
  get lostCount(): number {
    return [...this.#accounts.values()].reduce((sum, { lost }) => sum + lost, 0);
  }

  /** What is durable of the sessions. */
  get sessions(): readonly SessionProgress[] {
    return [...this.#progress.values()];
  }

  /** What is durable of one message. */
  stateOf(session: SessionId, sequence: number): 'pending' | 'archived' | 'lost' {
    const { next, losses } = this.#accounts.get(session) ?? newStored();
    if (sequence >= next) return 'pending';
    const isLost = losses.some(({ first, last }) => first <= sequence && sequence <= last);
    return isLost ? 'lost' : 'archived';
  }

  /** The last `count` losses of a session, in order. */
  lastLosses(session: SessionId, count: number): readonly SequenceRange[] {
    return this.#accounts.get(session)?.losses.slice(-count) ?? [];
  }

  /** Gives the channel to a new archiver; the epoch of any other is stale from now on. */
  lease(): number {
    this.#epoch += 1;
    return this.#epoch;
  }

  /**
   * The transaction: `committed` also for a batch that is in already; `fenced` leaves everything as
   * it was. Throws where the batch breaks the promise.
   */
  append(batch: ArchiveBatch): 'committed' | 'fenced' {
    const isFirst = batch.epoch === this.#epoch && batch.expectedHead === this.#head;
    if (!isFirst) {
      const isIn = batch.epoch === this.#epoch && headAfter(batch) === this.#head;
      return isIn ? 'committed' : 'fenced';
    }
    this.#account(batch);
    this.#head = headAfter(batch);
    for (const progress of batch.sessions) this.#checkProgress(progress);
    this.#onStored(batch);
    return 'committed';
  }

  /** Runs and losses of a batch in the order of sequences, which is how each session told them. */
  #account(batch: ArchiveBatch): void {
    const ranges = this.#newLosses(batch);
    let position = this.#head + 1;
    for (const segment of batch.segments) {
      assert(segment.firstPosition === position, 'store: positions are dense');
      position += segment.messageCount;
      for (const { session, firstSequence, length } of segment.runs) {
        const last = firstSequence + length - 1;
        ranges.push({ session, first: firstSequence, last, isStored: true });
      }
      this.#checkSegment(segment);
    }
    ranges.sort((one, other) => one.first - other.first);
    for (const { session, first, last, isStored } of ranges) {
      const account = this.#accounts.get(session) ?? newStored();
      this.#accounts.set(session, account);
      const what = `${session} has ${first} where ${account.next} is next`;
      assert(first === account.next && last >= first, `store: ${what}`);
      account.next = last + 1;
      if (isStored) account.stored += last - first + 1;
      else {
        account.lost += last - first + 1;
        account.losses.push({ first, last });
      }
    }
  }

  /** A batch without messages leaves the head as it was and may be repeated: its losses are in. */
  #newLosses(batch: ArchiveBatch): AccountedRange[] {
    const fresh: AccountedRange[] = [];
    for (const { session, firstSequence, lastSequence } of batch.losses) {
      const key = `${session} ${firstSequence}`;
      if (this.#losses.get(key) === lastSequence && batch.segments.length === 0) continue;
      this.#losses.set(key, lastSequence);
      fresh.push({ session, first: firstSequence, last: lastSequence, isStored: false });
    }
    return fresh;
  }

  #checkProgress(progress: SessionProgress): void {
    const { session, firstArchived, watermark, lead } = progress;
    const before = this.#progress.get(session);
    assert(watermark >= (before?.watermark ?? 0), `store: the watermark of ${session} went back`);
    const isLeadTrue = lead === watermark || this.#payloadOf(session, lead) !== undefined;
    assert(lead >= watermark && isLeadTrue, `store: ${session} leads at ${lead} of ${watermark}`);
    const { next, stored, lost } = this.#accounts.get(session) ?? newStored();
    const isWhole = watermark === next - 1 && stored + lost === watermark - firstArchived + 1;
    const what = `${stored} stored and ${lost} lost of ${firstArchived}-${watermark}`;
    assert(isWhole, `store: ${session} has ${what}`);
    this.#progress.set(session, progress);
  }

  #checkSegment({ runs, messageCount, payloadField }: Segment): void {
    const count = runs.reduce((sum, run) => sum + run.length, 0);
    assert(count === messageCount, 'store: the runs of a segment add up');
    const view = viewOf(payloadField);
    let at = ARRAY_HEADER_BYTES;
    for (const { session, firstSequence, length } of runs) {
      for (let sequence = firstSequence; sequence < firstSequence + length; sequence += 1) {
        const payloadBytes = view.getInt32(at);
        const payload = payloadField.subarray(at + 4, at + 4 + payloadBytes);
        const original = this.#payloadOf(session, sequence);
        const isSame = original !== undefined && isSameBytes(original, payload);
        assert(isSame, `store: message ${sequence} of ${session} has other bytes`);
        at += 4 + payloadBytes;
      }
    }
  }
}

function newStored(): StoredSession {
  return { next: 1, stored: 0, lost: 0, losses: [] };
}
