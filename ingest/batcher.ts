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

import { assert, foreignPacketCount, type Framing, type SessionId } from '#base/mod.ts';
import type { ArchiveBatch, Conflict, Heal, SessionProgress } from '#archive/mod.ts';
import type { Segment, SegmentBuilder, SegmentBuilderPool } from '#archive/segment/mod.ts';
import type {
  MessagesDelivered,
  MessagesLost,
  ReceiverEvent,
  ResumePoint,
} from '#multicast/core/mod.ts';
import { type BlockReader, newBlockReader, NO_PUBLISH_TIME } from '#multicast/wire/mod.ts';
import { conflictOf } from './batcher-conflict.ts';
import type { HealedBlock } from './healing.ts';
import { BatchLosses } from './batch-losses.ts';
import { SessionLedger } from './session-ledger.ts';

/** What a batcher is made of. */
export interface BatcherOptions {
  readonly channelId: number;
  readonly epoch: number;
  /** Last archived position of the channel. */
  readonly head: number;
  /** Batches that the channel's archive is made of. */
  readonly commits: number;
  /** How the channel's packets are cut into messages. */
  readonly framing: Framing;
  /** What the archive knows of the channel's sessions, those opened last at the end. */
  readonly sessions: readonly SessionProgress[];
  /** Where builders come from and go back to. */
  readonly builders: SegmentBuilderPool;
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
  readonly batchAgeMs: number;
}

/**
 * How far its owner had come when it told the last thing of a batch; the batcher only hands it
 * back.
 */
export interface BatchMark {
  readonly ordinal: number;
  readonly spoolNumber: number;
}

/** A batch being filled, and the builders whose memory its segments still use. */
interface OpenBatch {
  readonly number: number;
  readonly firstPosition: number;
  readonly segments: Segment[];
  readonly losses: BatchLosses;
  readonly conflicts: Conflict[];
  readonly builders: SegmentBuilder[];
  readonly changed: Set<SessionId>;
  messageCount: number;
  heldBytes: number;
  openedAtMs: number;
  mark: BatchMark;
}

interface ClosedBatch {
  readonly number: number;
  readonly batch: ArchiveBatch;
  readonly heldBytes: number;
  readonly openedAtMs: number;
  readonly mark: BatchMark;
  readonly builders: readonly SegmentBuilder[];
}

/** Element headers and the publish time that a stored message has beside its payload. */
const MESSAGE_OVERHEAD_BYTES = 16;
const NO_MARK: BatchMark = { ordinal: 0, spoolNumber: 0 };

/** Turns one channel's deliveries into batches. */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #reader: BlockReader;
  readonly #sessions: SessionLedger;
  readonly #closed: ClosedBatch[] = [];
  #open: OpenBatch;
  /** The segment being filled; undefined while nothing waits: a quiet channel holds none. */
  #builder: SegmentBuilder | undefined;
  #inFlight: ClosedBatch | undefined;
  #closedBytes = 0;
  #committedMark = NO_MARK;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#reader = newBlockReader(options.framing);
    this.#sessions = new SessionLedger(options.sessions);
    this.#open = newBatch(1, options.head + 1, NO_MARK);
  }

  /** Bytes held for messages not yet committed: what the memory of this channel depends on. */
  get pendingBytes(): number {
    return this.#closedBytes + this.#open.heldBytes;
  }

  /** The position of the last message taken, committed or not. */
  get lastPosition(): number {
    return this.#open.firstPosition + this.#open.messageCount - 1;
  }

  /** The position of the last message that is committed. */
  get committedPosition(): number {
    const oldest = this.#inFlight ?? this.#closed[0];
    return oldest?.batch.expectedHead ?? this.#open.firstPosition - 1;
  }

  /** Since when the oldest thing that is not committed waits; Infinity if there is none. */
  get waitingSinceMs(): number {
    const oldest = this.#inFlight ?? this.#closed[0];
    if (oldest !== undefined) return oldest.openedAtMs;
    return isEmpty(this.#open) ? Number.POSITIVE_INFINITY : this.#open.openedAtMs;
  }

  /** Everything told through this mark is committed, or changed nothing. */
  get committedMark(): BatchMark {
    const isAll = this.waitingSinceMs === Number.POSITIVE_INFINITY;
    return isAll ? this.#open.mark : this.#committedMark;
  }

  /** What is known of the channel's sessions. */
  get sessions(): Pick<
    SessionLedger,
    | 'hasForgotten'
    | 'size'
    | 'learn'
    | 'recall'
    | 'recallForeign'
    | 'find'
    | 'copy'
    | 'openSessions'
  > {
    return this.#sessions;
  }

  /**
   * Where the next thing told of `session` has to begin; `finished` if nothing can follow,
   * undefined if it is not known: see SessionLedger for what that means.
   */
  recall(session: SessionId): ResumePoint | 'finished' | undefined {
    return this.#sessions.recall(session);
  }

  /** When the open batch is due, if nothing is being committed; Infinity if there is nothing. */
  get nextDeadlineMs(): number {
    if (this.#inFlight !== undefined) return Number.POSITIVE_INFINITY;
    if (this.#closed.length > 0) return Number.NEGATIVE_INFINITY;
    if (isEmpty(this.#open)) return Number.POSITIVE_INFINITY;
    return this.#open.openedAtMs + this.#options.batchAgeMs;
  }

  /**
   * Takes what a receiver tells. `wallClockUs` dates losses, closings, and messages of a framing
   * that states no publish time; message bytes are copied. `mark`: see BatchMark.
   */
  handleEvent(event: ReceiverEvent, nowMs: number, wallClockUs: number, mark = NO_MARK): void {
    const { batchMessagesMax, batchBytesMax } = this.#options;
    if (event.kind === 'messages' && !this.#hasRoomFor(event.messageCount)) this.#close();
    this.#open.mark = mark;
    if (isEmpty(this.#open)) this.#open.openedAtMs = nowMs;
    switch (event.kind) {
      case 'opened':
        this.#sessions.open(event.session, event.tsi, event.isForeign, this.#open.number);
        this.#open.changed.add(event.session);
        break;
      case 'source':
        this.#change(event.session).source = event.source;
        break;
      case 'messages':
        this.#store(event, wallClockUs);
        break;
      case 'lead':
        this.#notice(event.session, event.sequence);
        break;
      case 'lost':
        this.#declare(event, wallClockUs);
        break;
      case 'conflict':
        this.#open.conflicts.push(conflictOf(event, wallClockUs));
        break;
      case 'closed':
        this.#closeSession(event.session, event.cause, wallClockUs);
        break;
      default:
        event satisfies never;
    }
    if (this.#open.messageCount >= batchMessagesMax) this.#close();
    else if (this.#open.heldBytes >= batchBytesMax) this.#close();
  }

  /** Beyond it a batch would have one more segment, with the rest of a packet. */
  #hasRoomFor(count: number): boolean {
    const { messageCount } = this.#open;
    return messageCount === 0 || messageCount + count <= this.#options.batchMessagesMax;
  }

  /** Whether messages that were lost are on their way into the archive. */
  get isHealing(): boolean {
    return this.#closed.some(isHealing) || (this.#inFlight && isHealing(this.#inFlight)) === true;
  }

  /**
   * Stores what was declared lost and is not healed, each sequence once, as a batch of its own: a
   * loss that is declared meanwhile keeps its place. At least one block.
   */
  heal(blocks: readonly HealedBlock[], nowMs: number): void {
    assert(blocks.length > 0, 'there is something to heal');
    if (!isEmpty(this.#open)) this.#close();
    this.#open.openedAtMs = nowMs;
    const heals = blocks.map(({ messages, heardAtUs, by }) => {
      const { session, firstSequence, lastSequence } = messages;
      const watermark = this.#sessions.find(session)?.watermark ?? lastSequence;
      assert(lastSequence <= watermark, 'what was declared lost is accounted for');
      this.#append(messages, heardAtUs);
      return { session, firstSequence, lastSequence, by };
    });
    this.#close(heals);
  }

  /** What its owner came to last changes nothing. */
  pass(mark: BatchMark): void {
    this.#open.mark = mark;
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
    this.#committedMark = done.mark;
    for (const builder of done.builders) this.#options.builders.give(builder);
    this.#sessions.committed(done.batch.sessions, done.number);
  }

  #closeSession(session: SessionId, cause: 'fin' | 'expired', wallClockUs: number): void {
    const progress = this.#change(session);
    if (progress.state === 'closed') return;
    progress.state = cause === 'fin' ? 'closed' : 'expired';
    progress.closedAtUs = wallClockUs;
  }

  #store(event: MessagesDelivered, wallClockUs: number): void {
    const { session, firstSequence: first, lastSequence: last, messageCount } = event;
    const { isForeign } = this.#advance(session, { first, last }, event.nextSqn);
    const isDense = last === first + messageCount - 1;
    assert(isDense || isForeign, 'a publisher of ours numbers its messages densely');
    this.#append(event, wallClockUs);
  }

  #append(event: MessagesDelivered, wallClockUs: number): void {
    const reader = this.#reader;
    const reason = reader.open(event.bytes, event.start, event.end);
    assert(reason === undefined, 'a delivered block is well-formed');
    const { session, firstSequence: first, lastSequence: last, messageCount } = event;
    const isDense = last === first + messageCount - 1;
    let sequence = first;
    while (reader.next()) {
      const builder = this.#builderWithRoom();
      const { payloadStart, payloadEnd, publishedAtUs } = reader;
      const atUs = publishedAtUs === NO_PUBLISH_TIME ? wallClockUs : publishedAtUs;
      builder.append(session, sequence, event.bytes, payloadStart, payloadEnd, atUs);
      sequence += 1;
    }
    assert(sequence === first + messageCount, 'a delivered block has the messages it says');
    if (!isDense) this.#builder?.coverThrough(last);
    this.#open.messageCount += messageCount;
    this.#open.heldBytes += event.end - event.start + messageCount * MESSAGE_OVERHEAD_BYTES;
  }

  /** More is there than was told: what lies between is unsettled, and the archive says so. */
  #notice(session: SessionId, lead: number): void {
    if (lead > this.#sessions.progressOf(session).lead) this.#change(session).lead = lead;
  }

  #declare(event: MessagesLost, wallClockUs: number): void {
    const { session, firstSequence, lastSequence, nextSqn } = event;
    const range = { first: firstSequence, last: lastSequence };
    const firstSqn = this.#sessions.resumeSqnOf(session);
    const { isForeign } = this.#advance(session, range, nextSqn);
    this.#open.losses.add({
      session,
      firstSequence,
      lastSequence,
      cause: event.cause,
      afterPosition: this.#open.firstPosition + this.#open.messageCount - 1,
      detectedAtUs: wallClockUs,
      firstSqn,
      nextSqn,
      packetCount: isForeign ? foreignPacketCount(this.#options.framing, range) : null,
    });
  }

  #advance(
    session: SessionId,
    range: { readonly first: number; readonly last: number },
    nextSqn: number,
  ): SessionProgress {
    this.#open.changed.add(session);
    return this.#sessions.advance(session, range, nextSqn, this.#open.number);
  }

  #change(session: SessionId): ReturnType<SessionLedger['change']> {
    this.#open.changed.add(session);
    return this.#sessions.change(session, this.#open.number);
  }

  #snapshot(sessions: ReadonlySet<SessionId>): SessionProgress[] {
    return [...sessions].map((session) => ({ ...this.#sessions.progressOf(session) }));
  }

  /** The segment being filled, or the next one. */
  #builderWithRoom(): SegmentBuilder {
    if (this.#builder?.isFull === true) this.#finishSegment(this.#builder);
    this.#builder ??= this.#options.builders.take();
    return this.#builder;
  }

  #finishSegment(builder: SegmentBuilder): void {
    this.#open.segments.push(builder.finish(nextPosition(this.#open)));
    this.#open.builders.push(builder);
    this.#builder = undefined;
  }

  #close(heals: readonly Heal[] = []): void {
    if (this.#builder !== undefined) this.#finishSegment(this.#builder);
    const { number, firstPosition, segments, losses, builders, changed } = this.#open;
    const { conflicts, heldBytes, openedAtMs, mark } = this.#open;
    const batch: ArchiveBatch = {
      channelId: this.#options.channelId,
      epoch: this.#options.epoch,
      expectedHead: firstPosition - 1,
      expectedCommits: this.#options.commits + number - 1,
      segments,
      losses: losses.all,
      heals,
      conflicts,
      sessions: this.#snapshot(changed),
    };
    this.#closedBytes += heldBytes;
    this.#closed.push({ number, batch, builders, heldBytes, openedAtMs, mark });
    this.#open = newBatch(number + 1, firstPosition + this.#open.messageCount, mark);
  }
}

function newBatch(number: number, firstPosition: number, mark: BatchMark): OpenBatch {
  return {
    number,
    firstPosition,
    mark,
    segments: [],
    losses: new BatchLosses(),
    conflicts: [],
    builders: [],
    changed: new Set(),
    messageCount: 0,
    heldBytes: 0,
    openedAtMs: 0,
  };
}

function isHealing({ batch }: ClosedBatch): boolean {
  return batch.heals.length > 0;
}

function isEmpty(batch: OpenBatch): boolean {
  const isUnchanged = batch.changed.size === 0 && batch.conflicts.length === 0;
  return batch.messageCount === 0 && isUnchanged;
}

function nextPosition(batch: OpenBatch): number {
  const last = batch.segments.at(-1);
  return last === undefined ? batch.firstPosition : last.firstPosition + last.messageCount;
}
