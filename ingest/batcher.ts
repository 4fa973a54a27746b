// Collects what a channel's receiver tells into batches, each of which becomes one transaction.
// Pure: knows no clock and no database. Numbers positions, keeps every session's watermark, and
// closes a batch when it is large, or old while nothing else is being committed: small latency when
// quiet, big batches under load.
//
//   handleEvent(event, …)   a receiver told something
//   pollBatch(nowMs)        the next batch to commit, once the one before is `committed`
//   nextDeadlineMs          when the open batch is old enough
//
// A batch ends between two packets, never inside one, so that a session's resume point is exact.

import { assert, type SessionId, SEQUENCE_MAX } from '#base/mod.ts';
import type { ArchiveBatch, DeclaredLoss, SessionProgress } from '#archive/mod.ts';
import { type Segment, SegmentBuilder } from '#archive/segment/mod.ts';
import type {
  MessagesDelivered,
  MessagesLost,
  ReceiverEvent,
  ResumePoint,
} from '#multicast/core/mod.ts';
import { NativeBlockReader } from '#multicast/wire/mod.ts';

/** What a batcher is made of. */
export interface BatcherOptions {
  readonly channelId: number;
  readonly epoch: number;
  /** Last archived position of the channel. */
  readonly head: number;
  /** What the archive knows of the channel's sessions. */
  readonly sessions: readonly SessionProgress[];
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
  readonly batchAgeMs: number;
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

/** A batch being filled, and the builders whose memory its segments still use. */
interface OpenBatch {
  readonly firstPosition: number;
  readonly segments: Segment[];
  readonly losses: DeclaredLoss[];
  readonly builders: SegmentBuilder[];
  readonly changed: Set<SessionId>;
  messageCount: number;
  heldBytes: number;
  openedAtMs: number;
}

interface ClosedBatch {
  readonly batch: ArchiveBatch;
  readonly heldBytes: number;
  readonly builders: readonly SegmentBuilder[];
}

/** Builders kept for the next batches; more would only hold memory. */
const SPARE_BUILDERS_MAX = 32;
/** Stands for no packet number in the archive: the first packet of a session has 2^32 or more. */
const NO_SQN = 0;
/** Element headers and the publish time that a stored message has beside its payload. */
const MESSAGE_OVERHEAD_BYTES = 16;

/** Turns one channel's deliveries into batches. */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #reader = new NativeBlockReader();
  readonly #sessions = new Map<SessionId, Mutable<SessionProgress>>();
  readonly #closed: ClosedBatch[] = [];
  readonly #spare: SegmentBuilder[] = [];
  #open: OpenBatch;
  #builder: SegmentBuilder;
  #inFlight: ClosedBatch | undefined;
  #closedBytes = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
    for (const session of options.sessions) this.#sessions.set(session.session, { ...session });
    this.#open = newBatch(options.head + 1);
    this.#builder = new SegmentBuilder();
  }

  /** Bytes held for messages not yet committed: what the memory of this channel depends on. */
  get pendingBytes(): number {
    return this.#closedBytes + this.#open.heldBytes;
  }

  /**
   * Where the next thing told of `session` has to begin; `finished` if nothing can follow,
   * undefined if it was never heard. No session is ever forgotten: what is stored must not be told
   * again.
   */
  recall(session: SessionId): ResumePoint | 'finished' | undefined {
    const progress = this.#sessions.get(session);
    if (progress === undefined) return undefined;
    if (progress.state === 'closed') return 'finished';
    return { session, nextSequence: progress.watermark + 1, nextSqn: sqnOf(progress) };
  }

  /** When the open batch is due, if nothing is being committed; Infinity if there is nothing. */
  get nextDeadlineMs(): number {
    if (this.#inFlight !== undefined) return Number.POSITIVE_INFINITY;
    if (this.#closed.length > 0) return Number.NEGATIVE_INFINITY;
    if (isEmpty(this.#open)) return Number.POSITIVE_INFINITY;
    return this.#open.openedAtMs + this.#options.batchAgeMs;
  }

  /**
   * Takes what a receiver tells. `wallClockUs` dates losses and closings; message bytes are copied.
   */
  handleEvent(event: ReceiverEvent, nowMs: number, wallClockUs: number): void {
    if (isEmpty(this.#open)) this.#open.openedAtMs = nowMs;
    switch (event.kind) {
      case 'opened':
        this.#openSession(event.session, event.tsi);
        break;
      case 'source':
        this.#change(event.session).source = event.source;
        break;
      case 'messages':
        this.#store(event);
        break;
      case 'lead':
        this.#notice(event.session, event.sequence);
        break;
      case 'lost':
        this.#declare(event, wallClockUs);
        break;
      case 'closed':
        this.#closeSession(event.session, event.cause, wallClockUs);
        break;
      default:
        event satisfies never;
    }
    const { batchMessagesMax, batchBytesMax } = this.#options;
    if (this.#open.messageCount >= batchMessagesMax) this.#close();
    else if (this.#open.heldBytes >= batchBytesMax) this.#close();
  }

  /**
   * The next batch to commit: a full one, or the open one when it is old enough or `force` is set.
   */
  pollBatch(nowMs: number, force = false): ArchiveBatch | undefined {
    if (this.#inFlight !== undefined) return undefined;
    if (this.#closed.length === 0) {
      if (isEmpty(this.#open) || (!force && nowMs < this.nextDeadlineMs)) return undefined;
      this.#close();
    }
    this.#inFlight = this.#closed.shift();
    return this.#inFlight?.batch;
  }

  /** The batch last polled is durable: its memory is used again. */
  committed(): void {
    const done = this.#inFlight;
    assert(done !== undefined, 'only a batch in flight can be committed');
    this.#inFlight = undefined;
    this.#closedBytes -= done.heldBytes;
    for (const builder of done.builders) {
      if (this.#spare.length >= SPARE_BUILDERS_MAX) break;
      builder.reset();
      this.#spare.push(builder);
    }
  }

  #openSession(session: SessionId, tsi: string): void {
    const known = this.#sessions.get(session);
    if (known === undefined) {
      const first: Mutable<SessionProgress> = {
        session,
        tsi,
        state: 'open',
        firstArchived: 1,
        watermark: 0,
        lead: 0,
        resumeSqn: NO_SQN,
      };
      this.#sessions.set(session, first);
    } else {
      known.state = 'open';
      delete known.closedAtUs;
    }
    this.#open.changed.add(session);
  }

  #closeSession(session: SessionId, cause: 'fin' | 'expired', wallClockUs: number): void {
    const progress = this.#change(session);
    if (progress.state === 'closed') return;
    progress.state = cause === 'fin' ? 'closed' : 'expired';
    progress.closedAtUs = wallClockUs;
  }

  #store(event: MessagesDelivered): void {
    const reader = this.#reader;
    const reason = reader.open(event.bytes, event.start, event.end);
    assert(reason === undefined, 'a delivered block is well-formed');
    const { session } = event;
    let sequence = event.firstSequence;
    this.#advance(session, sequence, sequence + event.messageCount - 1, event.nextSqn);
    while (reader.next()) {
      if (this.#builder.isFull) this.#finishSegment();
      const { payloadStart, payloadEnd } = reader;
      this.#builder.append(
        session,
        sequence,
        event.bytes,
        payloadStart,
        payloadEnd,
        reader.publishedAtUs,
      );
      sequence += 1;
    }
    this.#open.messageCount += event.messageCount;
    this.#open.heldBytes += event.end - event.start + event.messageCount * MESSAGE_OVERHEAD_BYTES;
  }

  /** More is there than was told: what lies between is unsettled, and the archive says so. */
  #notice(session: SessionId, lead: number): void {
    const known = this.#sessions.get(session)?.lead ?? 0;
    if (lead > known) this.#change(session).lead = lead;
  }

  #declare(event: MessagesLost, wallClockUs: number): void {
    this.#advance(event.session, event.firstSequence, event.lastSequence, event.nextSqn);
    this.#open.losses.push({
      session: event.session,
      firstSequence: event.firstSequence,
      lastSequence: event.lastSequence,
      cause: event.cause,
      afterPosition: this.#open.firstPosition + this.#open.messageCount - 1,
      detectedAtUs: wallClockUs,
    });
  }

  /** [first, last] is accounted for; the promise of the whole product hangs on this assertion. */
  #advance(session: SessionId, first: number, last: number, nextSqn: number): void {
    const progress = this.#change(session);
    assert(first === progress.watermark + 1, 'sequences are accounted for in order, each once');
    assert(last <= SEQUENCE_MAX, 'a sequence is at most 2^53 − 1');
    progress.watermark = last;
    progress.lead = Math.max(progress.lead, last);
    progress.resumeSqn = nextSqn;
  }

  #change(session: SessionId): Mutable<SessionProgress> {
    this.#open.changed.add(session);
    return this.#progressOf(session);
  }

  #progressOf(session: SessionId): Mutable<SessionProgress> {
    const progress = this.#sessions.get(session);
    assert(progress !== undefined, 'a session is opened before anything else is told of it');
    return progress;
  }

  #snapshot(sessions: ReadonlySet<SessionId>): SessionProgress[] {
    return [...sessions].map((session) => ({ ...this.#progressOf(session) }));
  }

  #finishSegment(): void {
    const segment = this.#builder.finish(nextPosition(this.#open));
    this.#open.segments.push(segment);
    this.#open.builders.push(this.#builder);
    this.#builder = this.#spare.pop() ?? new SegmentBuilder();
  }

  #close(): void {
    if (this.#builder.messageCount > 0) this.#finishSegment();
    const { firstPosition, segments, losses, builders, changed, heldBytes } = this.#open;
    const batch: ArchiveBatch = {
      channelId: this.#options.channelId,
      epoch: this.#options.epoch,
      expectedHead: firstPosition - 1,
      segments,
      losses,
      sessions: this.#snapshot(changed),
    };
    this.#closedBytes += heldBytes;
    this.#closed.push({ batch, builders, heldBytes });
    this.#open = newBatch(firstPosition + this.#open.messageCount);
  }
}

function sqnOf({ resumeSqn }: SessionProgress): number | undefined {
  return resumeSqn === NO_SQN ? undefined : resumeSqn;
}

function newBatch(firstPosition: number): OpenBatch {
  return {
    firstPosition,
    segments: [],
    losses: [],
    builders: [],
    changed: new Set(),
    messageCount: 0,
    heldBytes: 0,
    openedAtMs: 0,
  };
}

function isEmpty(batch: OpenBatch): boolean {
  return batch.messageCount === 0 && batch.changed.size === 0;
}

function nextPosition(batch: OpenBatch): number {
  const last = batch.segments.at(-1);
  return last === undefined ? batch.firstPosition : last.firstPosition + last.messageCount;
}
