// The archiver of a simulated world: a receiver and the real batcher, with a modelled store behind
// them. A commit takes time, fails, or succeeds without an answer; a crash loses what is not
// committed, and the next life goes on from what is. Stands where ingest has its sockets, its
// commit loop and PostgreSQL.

import { assert, type Framing, type Random } from '#base/mod.ts';
import type { ArchiveBatch } from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import { ArchivedSessions, Batcher, LOOKED_UP_LOSSES } from '#ingest/mod.ts';
import type { ReceiverEvent, ReceiverOptions, ResumePoint } from '#multicast/core/mod.ts';
import type { ModelledStore } from './modelled-store.ts';
import type { SimulatedReceiver, World } from './world.ts';

/** What may happen to commits. Probabilities in [0, 1]. */
export interface StoreFaults {
  readonly failure: number;
  readonly lostAnswer: number;
  readonly commitMsMax: number;
}

/** What a recorder is made of. */
export interface RecorderOptions {
  readonly world: World;
  readonly random: Random;
  readonly store: ModelledStore;
  readonly framing: Framing;
  /** Whether publishers are told what is committed. */
  readonly acknowledges?: boolean;
  readonly receiver: Partial<ReceiverOptions>;
  /** Hears what the receiver tells, before the batcher does. */
  readonly onEvent: (event: ReceiverEvent) => void;
  readonly onCommit: (batch: ArchiveBatch) => void;
}

/** What really happened to commits. */
export interface RecorderCounters {
  commits: number;
  failures: number;
  lostAnswers: number;
}

const RETRY_MS = 50;
const COMMIT_MS_MIN = 0.2;
/** Small, so that batches close by count as well as by age. */
const BATCH_MESSAGES_MAX = 64;
const BATCH_BYTES_MAX = 100_000;
const BATCH_AGE_MS = 20;

/** One life of a recording receiver. */
export class SimulatedRecorder {
  readonly receiver: SimulatedReceiver;
  readonly #options: RecorderOptions;
  readonly #counters: RecorderCounters;
  readonly #batcher: Batcher;
  readonly #archived: ArchivedSessions;
  #faults: StoreFaults;
  #isCommitting = false;
  #isDead = false;
  #wakesAtMs = Number.POSITIVE_INFINITY;

  constructor(options: RecorderOptions, faults: StoreFaults, counters: RecorderCounters) {
    const { world, store } = options;
    this.#options = options;
    this.#faults = faults;
    this.#counters = counters;
    const batcher = new Batcher({
      channelId: 1,
      epoch: store.lease(),
      head: store.head,
      commits: 0,
      framing: options.framing,
      builders: new SegmentBuilderPool(),
      sessions: store.sessions,
      batchMessagesMax: BATCH_MESSAGES_MAX,
      batchBytesMax: BATCH_BYTES_MAX,
      batchAgeMs: BATCH_AGE_MS,
    });
    this.#batcher = batcher;
    const left: ResumePoint[] = [];
    for (const { session, state } of store.sessions) {
      const resume = state === 'open' ? batcher.recall(session) : undefined;
      if (typeof resume === 'object') left.push(resume);
    }
    this.receiver = world.addReceiver(
      {
        ...options.receiver,
        acknowledges: options.acknowledges ?? false,
        recall: (session) => batcher.recall(session),
      },
      left,
      (event) => this.#take(event),
    );
    this.#archived = new ArchivedSessions((session, archived) => {
      this.receiver.machine.acknowledge(session, archived, world.nowMs);
      world.flush(this.receiver.node);
    });
  }

  /** Whether all that was told is durable. */
  get isIdle(): boolean {
    return !this.#isCommitting && this.#batcher.nextDeadlineMs === Number.POSITIVE_INFINITY;
  }

  /** What happens to commits from now on. */
  set faults(faults: StoreFaults) {
    this.#faults = faults;
  }

  /** Ends this life: nothing more is heard, told or committed. */
  crash(): void {
    this.#isDead = true;
    this.#options.world.stop(this.receiver.node);
  }

  #take(event: ReceiverEvent): void {
    const { world, onEvent } = this.#options;
    onEvent(event);
    this.#batcher.handleEvent(event, world.nowMs, world.wallClockUs);
    this.#wake();
  }

  /** Comes back when the batcher is due. */
  #wake(): void {
    const { world } = this.#options;
    const atMs = Math.max(world.nowMs, this.#batcher.nextDeadlineMs);
    if (atMs >= this.#wakesAtMs) return;
    this.#wakesAtMs = atMs;
    world.schedule(atMs, () => {
      if (this.#wakesAtMs !== atMs) return;
      this.#wakesAtMs = Number.POSITIVE_INFINITY;
      this.#poll();
    });
  }

  #poll(): void {
    if (this.#isDead || this.#isCommitting) return;
    const batch = this.#batcher.pollBatch(this.#options.world.nowMs);
    if (batch === undefined) {
      if (this.#batcher.nextDeadlineMs < Number.POSITIVE_INFINITY) this.#wake();
      return;
    }
    this.#isCommitting = true;
    this.#attempt(batch);
  }

  /** A batch is tried, verbatim, until it is known to be in. */
  #attempt(batch: ArchiveBatch): void {
    const { world, random, store } = this.#options;
    const tookMs = COMMIT_MS_MIN + random() * this.#faults.commitMsMax;
    world.schedule(world.nowMs + tookMs, () => {
      if (this.#isDead) return;
      if (random() < this.#faults.failure) {
        this.#counters.failures += 1;
        world.schedule(world.nowMs + RETRY_MS, () => this.#attempt(batch));
        return;
      }
      const outcome = store.append(batch);
      assert(outcome === 'committed', 'store: the only archiver is never fenced');
      if (random() < this.#faults.lostAnswer) {
        this.#counters.lostAnswers += 1;
        world.schedule(world.nowMs + RETRY_MS, () => this.#attempt(batch));
        return;
      }
      this.#counters.commits += 1;
      this.#options.onCommit(batch);
      this.#batcher.committed();
      this.#isCommitting = false;
      if (this.#options.acknowledges === true) this.#acknowledge(batch);
      this.#wake();
    });
  }

  #acknowledge(batch: ArchiveBatch): void {
    const { world, store } = this.#options;
    this.#archived.committed(batch);
    world.schedule(world.nowMs + COMMIT_MS_MIN, () => {
      if (this.#isDead) return;
      for (let { unknown } = this.#archived; unknown !== undefined; { unknown } = this.#archived)
        this.#archived.learn(unknown, store.lastLosses(unknown, LOOKED_UP_LOSSES));
    });
  }
}
