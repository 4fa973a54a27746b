// One channel of a shard: its socket, its receiver, its backlog, and while this archiver writes the
// channel, a batcher. What the receiver tells goes through the backlog, which may be on disk, into
// the batcher; the shard's writer fetches batches from here.
//
//   standby    another archiver writes: what is heard is kept until that one has archived it
//   leading    this one writes, under the epoch of its lease
//
// While the backlog has no room, which a spool prevents, datagrams are
// dropped and counted as the recorder's own overrun, and what the publishers then no longer resend
// is declared lost with that cause.

import type { ArchiveBatch } from '#archive/mod.ts';
import {
  type ChannelAddress,
  type Framing,
  matchesChannelPattern,
  type SessionId,
} from '#base/mod.ts';
import type { ReceiverEvent, ResumePoint } from '#multicast/core/mod.ts';
import { monotonicMs, wallClockUs } from '#multicast/udp/mod.ts';
import type { Backlog } from './backlog.ts';
import type { ArchivedState } from './backlog-options.ts';
import { Batcher } from './batcher.ts';
import { ChannelEars } from './channel-ears.ts';
import type { ForeignNames } from './foreign-names.ts';
import { HealOffering } from './heal-offering.ts';
import type { HealedBlock } from './healing.ts';
import { LossLookup } from './loss-lookup.ts';
import { openBacklog } from './open-backlog.ts';
import type { ChannelRecorderOptions, RecorderCounters, Term } from './recorder-options.ts';
import { SessionLookup } from './session-lookup.ts';
import type { BatchSource, Refusal } from './shard-writer.ts';

/** Records one channel. */
export class ChannelRecorder implements BatchSource, AsyncDisposable {
  readonly #options: ChannelRecorderOptions;
  readonly #ears: ChannelEars;
  readonly #offering: HealOffering;
  #batcher: Batcher | undefined;
  #epoch = 0;
  readonly #backlog: Backlog;
  readonly #lookup: SessionLookup;
  readonly #archived: LossLookup | undefined;
  #archivedMessages = 0;
  #commits = 0;
  #archivedCommits = 0;
  #takeovers = 0;
  #handovers = 0;
  #heardCount = 0;
  #heardAtMs = monotonicMs();
  #rollbacks = 0;
  #healedMessages = 0;

  private constructor(options: ChannelRecorderOptions, backlog: Backlog, offering: HealOffering) {
    this.#options = options;
    this.#offering = offering;
    this.#backlog = backlog;
    this.#lookup = new SessionLookup({
      find: options.findSessions,
      onFound: (progress) => backlog.learn(progress),
      nowMs: monotonicMs,
    });
    this.#archived = acknowledges(options) ? this.#newArchived() : undefined;
    this.#ears = new ChannelEars({
      recording: options,
      acknowledges: this.#archived !== undefined,
      recall: (session) => this.#recall(session),
      recallForeign: (tsi) => backlog.sessions.recallForeign(tsi),
      hasRoom: () => backlog.hasRoom,
      onEvent: (event, nowMs) => this.#take(event, nowMs),
      onTold: () => options.onWork(),
      nowMs: monotonicMs,
    });
    for (const session of backlog.sessions.openSessions()) {
      const resume = backlog.sessions.recall(session);
      if (typeof resume === 'object') this.#ears.restore(resume);
    }
  }

  /**
   * Takes up what is spooled, opens the sockets and starts to record; leads at once if there is a
   * term, which was given before `sessions` were read. Errors:
   * BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_KEYS_MISSING,
   * BACKCAST_DATABASE_UNREACHABLE.
   */
  static async open(
    options: ChannelRecorderOptions,
    won: Pick<Term, 'epoch' | 'commits'> | undefined,
  ): Promise<ChannelRecorder> {
    const { address, head, sessions } = options;
    const offering = new HealOffering(options.holder);
    const backlog = await openBacklog({
      ...options,
      framing: address.framing,
      onHealing: (messages, heardAtUs) => offering.add(messages, heardAtUs),
      nowMs: monotonicMs,
      onLoss: (loss) => options.onSession(loss),
      onSpool: (problem) => options.onSpool(problem),
    });
    backlog.foreign.adopt(sessions);
    await using opened = new AsyncDisposableStack();
    opened.defer(() => backlog.close());
    const recorder = new ChannelRecorder(options, backlog, offering);
    if (won !== undefined) recorder.#lead({ ...won, head, sessions }, true);
    await recorder.#ears.listen();
    opened.move();
    return recorder;
  }

  /** How the channel's packets are cut into messages; that never changes. */
  get framing(): Framing {
    return this.#options.address.framing;
  }

  /**
   * The channel is at another address from now on; what is left where it was is heard to its end.
   * Errors as those of `open`; then all is as before.
   */
  async move(address: ChannelAddress): Promise<void> {
    await this.#ears.move(address);
  }

  /** Numbers for the status line and metrics. */
  get counters(): Omit<RecorderCounters, 'databaseAway' | 'refused'> {
    return {
      ...this.#ears.counters,
      pendingBytes: this.#backlog.heldBytes,
      receivedPosition: this.#backlog.receivedPosition,
      spooledPosition: this.#backlog.durablePosition,
      archivedMessages: this.#archivedMessages,
      commits: this.#commits,
      archivedPosition: this.#backlog.archivedPosition,
      spoolBytes: this.#backlog.diskBytes,
      spooling: this.#backlog.isSpooling,
      spoolUnusable: this.#options.spool !== undefined && !this.#backlog.isSpoolUsable,
      spoolFullMessages: this.#backlog.spoolFullMessages,
      followedSessions: this.#ears.sessionCount,
      leading: this.#batcher !== undefined,
      takeovers: this.#takeovers,
      handovers: this.#handovers,
      rollbacks: this.#rollbacks,
      healedMessages: this.#healedMessages,
      unofferedMessages: this.#offering.droppedMessages,
    };
  }

  /** The last position that is known to be archived. */
  get archivedPosition(): number {
    return this.#backlog.archivedPosition;
  }

  /** What is archived through here would not be written again if the archive went back. */
  get settledPosition(): number {
    return this.#backlog.settledPosition;
  }

  /** The batches that the archive is known to have, while this archiver writes. */
  get archivedCommits(): number {
    return this.#archivedCommits;
  }

  /** The sessions of which something is kept; `isAll`: or would be, if the archive went back. */
  keptSessions(isAll = false): ReadonlySet<SessionId> {
    return this.#backlog.keptSessions(isAll);
  }

  /** What was declared lost and is here. */
  get offering(): HealOffering {
    return this.#offering;
  }

  /**
   * From now on this archiver writes the channel. `sessions` are those that the archive has of the
   * kept ones, and those that may be heard again.
   */
  lead(term: Term): void {
    this.#takeovers += 1;
    this.#lead(term, false);
  }

  /** From now on another archiver does, or nobody. Nothing that is not committed is let go of. */
  stand(isRolledBack: boolean): void {
    if (isRolledBack) this.#rollbacks += 1;
    this.#batcher = undefined;
    this.#ears.ceaseToAcknowledge();
    this.#backlog.stand();
  }

  /** The channel is given to another archiver that is to write it. */
  handedOver(): void {
    this.#handovers += 1;
  }

  /** How long nothing of the channel was heard; about. */
  silentMs(): number {
    return monotonicMs() - this.#heardAtMs;
  }

  /** What foreign sources are called. */
  get foreign(): ForeignNames {
    return this.#backlog.foreign;
  }

  /** On standby: another has archived this much. */
  handleArchived(state: ArchivedState): void {
    this.#backlog.handleArchived(state);
  }

  /** Whether offers may be looked at now: none is on its way into the archive. */
  get mayHeal(): boolean {
    return this.#batcher !== undefined && !this.#batcher.isHealing;
  }

  /** Stores what was lost and is offered; see Batcher. */
  heal(blocks: readonly HealedBlock[]): void {
    this.#batcher?.heal(blocks, monotonicMs());
    for (const { messages } of blocks) this.#healedMessages += messages.messageCount;
    this.#options.onWork();
  }

  get nextDeadlineMs(): number {
    return this.#batcher?.nextDeadlineMs ?? Number.POSITIVE_INFINITY;
  }

  pollBatch(nowMs: number, force: boolean): ArchiveBatch | undefined {
    return this.#batcher?.pollBatch(nowMs, force);
  }

  committed(batch: ArchiveBatch): void {
    if (this.#batcher === undefined || batch.epoch !== this.#epoch) return;
    for (const { messageCount } of batch.segments) this.#archivedMessages += messageCount;
    this.#commits += 1;
    this.#archivedCommits += 1;
    this.#batcher.committed();
    this.#backlog.handleCommitted();
    this.#archived?.committed(batch);
  }

  /** Lets time pass; to be called a few times a second. */
  handleTimeout(nowMs: number): void {
    const { packetsReceived, spmsReceived, duplicates } = this.#ears.counters.receiver;
    const heardCount = packetsReceived + spmsReceived + duplicates;
    if (heardCount !== this.#heardCount) this.#heardAtMs = nowMs;
    this.#heardCount = heardCount;
    this.#backlog.handleTimeout(nowMs);
    this.#archived?.handleTimeout();
    this.#ears.handleTimeout(nowMs);
  }

  fenced(refusal: Refusal, batch: ArchiveBatch): void {
    this.#options.onFenced(batch.epoch, refusal);
  }

  /** Stops listening. What was heard, to the last datagram taken, stays to be committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ears[Symbol.asyncDispose]();
  }

  /**
   * Stops listening, and spools what is not committed, as far as that is possible. Nothing may be
   * committed from here on.
   */
  async close(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#backlog.close();
  }

  #lead(term: Term, isOpening: boolean): void {
    const { address } = this.#options;
    const batcher = new Batcher({ ...this.#options, ...term, framing: address.framing });
    this.#epoch = term.epoch;
    this.#archivedCommits = term.commits;
    this.#batcher = batcher;
    this.#backlog.lead(batcher, isOpening);
    this.#archived?.begin(term.sessions);
  }

  /** A session that may be forgotten is let wait until the archive has said what it knows. */
  #recall(session: SessionId): ResumePoint | 'finished' | undefined {
    const known = this.#backlog.sessions.recall(session);
    if (known !== undefined || !this.#backlog.sessions.hasForgotten) return known;
    return this.#lookup.isNew(session) ? undefined : 'finished';
  }

  #newArchived(): LossLookup {
    return new LossLookup({
      findLosses: this.#options.findLosses,
      nowMs: monotonicMs,
      onArchived: (session, archived) => {
        this.#ears.acknowledge(session, archived);
      },
    });
  }

  #take(event: ReceiverEvent, nowMs: number): void {
    this.#backlog.handleEvent(event, nowMs, wallClockUs());
    if (event.kind !== 'messages') this.#options.onSession(event);
  }
}

/** Publishers of other implementations would not understand. */
function acknowledges({ acknowledge = [], channel, address }: ChannelRecorderOptions): boolean {
  const isNamed = acknowledge.some((pattern) => matchesChannelPattern(pattern, channel));
  return isNamed && address.framing === 'native';
}
