// A made-up archive of one channel: it fences, remembers, and goes back to what it was before.

import type { ArchiveBatch, HealOffer, SessionProgress, StandingLoss } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type PlacedMessage, readSegment } from './archive.ts';

interface ModelLoss extends StandingLoss {
  readonly cause: string;
  readonly afterPosition: number;
}

/** What the archive holds at one moment. */
export interface Archived {
  readonly epoch: number;
  readonly holder: string;
  readonly commits: number;
  readonly messages: readonly PlacedMessage[];
  readonly losses: readonly ModelLoss[];
  readonly sessions: ReadonlyMap<SessionId, SessionProgress>;
}

/** What became of a batch. */
type Outcome = 'committed' | 'fenced' | 'rolled_back';

/** The archive of one channel, and all that it ever was. */
export class ModelArchive {
  #now: Archived = {
    epoch: 0,
    holder: '',
    commits: 0,
    messages: [],
    losses: [],
    sessions: new Map(),
  };
  readonly #history: Archived[] = [];
  #last: ArchiveBatch | undefined;
  offers: HealOffer[] = [];
  /** Messages that were committed and are not any more, all together. */
  forgotCount = 0;

  get now(): Archived {
    return this.#now;
  }

  get head(): number {
    return this.#now.messages.length;
  }

  acquire(holder: string, usedEpoch: number): number {
    const epoch = Math.max(this.#now.epoch, usedEpoch) + 1;
    this.#now = { ...this.#now, epoch, holder };
    return epoch;
  }

  append(batch: ArchiveBatch, holder: string): Outcome {
    const { epoch, holder: ours, commits, messages } = this.#now;
    if (epoch !== batch.epoch || ours !== holder) return this.#refuse(batch, holder);
    if (batch === this.#last) return 'committed';
    const isNext = messages.length === batch.expectedHead && commits === batch.expectedCommits;
    if (!isNext) return this.#refuse(batch, holder);
    this.#history.push(this.#now);
    this.#last = batch;
    const batchMessages = batch.segments.flatMap(readSegment);
    const sessions = new Map(this.#now.sessions);
    for (const progress of batch.sessions) sessions.set(progress.session, progress);
    const losses = batch.heals.reduce(healed, [...this.#now.losses, ...batch.losses]);
    const written = { sessions, losses, messages: [...messages, ...batchMessages] };
    this.#now = { ...this.#now, ...written, commits: commits + 1 };
    return 'committed';
  }

  /** Another server takes over, which lacks the last `count` commits. */
  goBack(count: number): void {
    this.#last = undefined;
    const before = this.head;
    for (let left = count; left > 0; left -= 1) this.#now = this.#history.pop() ?? this.#now;
    this.forgotCount += before - this.head;
  }

  #refuse(batch: ArchiveBatch, holder: string): Outcome {
    const { epoch, holder: ours, commits } = this.#now;
    const isOlder = epoch < batch.epoch || commits < (batch.expectedCommits ?? 0);
    return ours === holder && epoch <= batch.epoch && isOlder ? 'rolled_back' : 'fenced';
  }
}

function healed(losses: readonly ModelLoss[], heal: ArchiveBatch['heals'][number]): ModelLoss[] {
  return losses.flatMap((loss) => {
    const isApart =
      heal.firstSequence > loss.lastSequence || heal.lastSequence < loss.firstSequence;
    if (loss.session !== heal.session || isApart) return [loss];
    const before = { ...loss, lastSequence: heal.firstSequence - 1 };
    const behind = { ...loss, firstSequence: heal.lastSequence + 1 };
    return [before, behind].filter((it) => it.firstSequence <= it.lastSequence);
  });
}
