// Several archivers of one channel, each with a backlog on a simulated disk, around one made-up
// archive that refuses, forgets and goes back: for tests that let anything happen in any order.

import assert from 'node:assert/strict';
import type { ArchiveBatch } from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type { Random, SessionId } from '#base/mod.ts';
import { Backlog } from '#ingest/backlog.ts';
import { Batcher } from '#ingest/batcher.ts';
import { HealOffering } from '#ingest/heal-offering.ts';
import { planHeals } from '#ingest/healing.ts';
import { Spool } from '#ingest/spool/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { ModelArchive } from './model-archive.ts';
import { delivered, lost } from './receiver-events.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const WALL_US = 1_795_342_400_000_000;

/** How small everything is. */
export interface StandbyLimits {
  readonly hasSpool: boolean;
  readonly directBytesMax: number;
  readonly recentBytesMax: number;
}

/** One archiver over several lives. */
class ModelArchiver {
  readonly name: string;
  readonly #run: StandbyRun;
  readonly #disk = new SimulatedDisk();
  /** The last sequence told of each session, in this life; and all that was told as messages. */
  readonly heard = new Map<SessionId, number>();
  readonly messages = new Set<string>();
  #backlog!: Backlog;
  #batcher: Batcher | undefined;
  #offering = new HealOffering('');
  #batch: ArchiveBatch | undefined;
  #epoch = 0;
  #usedEpoch = 0;
  #seenPosition = 0;

  constructor(run: StandbyRun, name: string) {
    this.#run = run;
    this.name = name;
  }

  get isLeading(): boolean {
    return this.#batcher !== undefined;
  }

  get backlog(): Backlog {
    return this.#backlog;
  }

  hear(session: SessionId, sizes: readonly number[]): void {
    const first = this.#open(session);
    if (first === undefined) return;
    const payloads = sizes.map((size, index) => this.#run.payload(session, first + index, size));
    for (let index = 0; index < sizes.length; index += 1)
      this.messages.add(`${session}/${first + index}`);
    this.heard.set(session, first + sizes.length - 1);
    this.#tell(delivered(session, first, payloads));
  }

  miss(session: SessionId, count: number): void {
    const first = this.#open(session);
    if (first === undefined) return;
    this.heard.set(session, first + count - 1);
    this.#tell(lost(session, first, first + count - 1));
  }

  wait(ms: number): void {
    this.#backlog.handleTimeout(this.#run.nowMs + ms);
  }

  /** Looks at what others have archived. */
  watch(): void {
    if (this.isLeading) return;
    const { archive } = this.#run;
    if (archive.head >= this.#seenPosition) this.#backlog.handleArchived(this.#state());
    this.#seenPosition = archive.head;
  }

  take(): void {
    if (this.isLeading) return;
    const { archive } = this.#run;
    this.#epoch = archive.acquire(this.name, this.#usedEpoch);
    this.#usedEpoch = this.#epoch;
    this.#seenPosition = Math.min(this.#seenPosition, archive.head);
    this.#backlog.handleArchived(this.#state());
    this.#batch = undefined;
    this.#batcher = new Batcher({
      channelId: 1,
      epoch: this.#epoch,
      head: archive.head,
      commits: archive.now.commits,
      framing: 'native',
      sessions: [...archive.now.sessions.values()],
      builders: new SegmentBuilderPool(),
      batchMessagesMax: 8,
      batchBytesMax: 700,
      batchAgeMs: 20,
    });
    this.#backlog.lead(this.#batcher);
  }

  /** Finds its lease taken. */
  standDown(): void {
    if (this.isLeading) this.#stand();
    this.#batch = undefined;
  }

  /** A batch is written; `isAnswered` says whether the archiver learns of it. */
  commit(isAnswered: boolean): boolean {
    this.#batch ??= this.#batcher?.pollBatch(this.#run.nowMs, true);
    if (this.#batch === undefined) return false;
    const outcome = this.#run.archive.append(this.#batch, this.name);
    if (!isAnswered) return true;
    this.#batch = undefined;
    if (outcome !== 'committed') {
      this.#stand();
      return true;
    }
    this.#batcher?.committed();
    this.#backlog.handleCommitted();
    return true;
  }

  offer(): void {
    const { archive } = this.#run;
    archive.offers = [...archive.offers, ...this.#offering.take(Number.POSITIVE_INFINITY)];
  }

  heal(): void {
    const { archive } = this.#run;
    const isOurs = archive.now.epoch === this.#epoch && archive.now.holder === this.name;
    if (this.#batcher === undefined || this.#batcher.isHealing || !isOurs) return;
    const blocks = planHeals(archive.offers, archive.now.losses, 'native');
    if (blocks.length > 0) this.#batcher.heal(blocks, this.#run.nowMs);
    else archive.offers = [];
  }

  settle(): Promise<void> {
    return this.#backlog.settled();
  }

  async crash(random: Random): Promise<void> {
    this.#disk.crash(random);
    await this.boot();
  }

  async boot(): Promise<void> {
    const { archive, limits } = this.#run;
    this.#batcher = undefined;
    this.#batch = undefined;
    this.#offering = new HealOffering(this.name);
    const spool = limits.hasSpool
      ? await Spool.open({ storage: this.#disk.mount(), fileBytes: 4_096, filesMax: 1_000 })
      : undefined;
    const { head } = archive;
    this.#seenPosition = head;
    this.#backlog = await Backlog.open({
      framing: 'native',
      head,
      sessions: [...archive.now.sessions.values()],
      spool,
      findSessions: async (asked) =>
        asked.flatMap((session) => archive.now.sessions.get(session) ?? []),
      waitMsMax: 100,
      directBytesMax: limits.directBytesMax,
      memoryBytesMax: limits.hasSpool ? 20_000 : 100_000,
      recentBytesMax: () => limits.recentBytesMax,
      nowMs: () => this.#run.nowMs,
      onLoss: (loss) => assert.notEqual(loss.cause, 'spool_full', 'there is room'),
      onSpool: (problem) => assert.equal(problem, undefined),
      onWork: () => undefined,
      onHealing: (messages, heardAtUs) => this.#offering.add(messages, heardAtUs),
    });
    this.#rejoin();
  }

  #stand(): void {
    this.#batcher = undefined;
    this.#backlog.stand();
    this.#seenPosition = this.#backlog.settledPosition;
  }

  #state() {
    const { losses, sessions } = this.#run.archive.now;
    const kept = this.#backlog.keptSessions();
    return {
      head: this.#run.archive.head,
      sessions: [...sessions.values()].filter(({ session }) => kept.has(session)),
      losses: losses.filter(({ afterPosition }) => afterPosition >= this.#seenPosition),
    };
  }

  #open(session: SessionId): number | undefined {
    if (!this.#backlog.hasRoom) return undefined;
    if (!this.heard.has(session)) {
      this.heard.set(session, 0);
      this.#tell({ kind: 'opened', session, tsi: 'x', isForeign: false });
    }
    return (this.heard.get(session) ?? 0) + 1;
  }

  #tell(event: ReceiverEvent): void {
    this.#backlog.handleEvent(event, this.#run.nowMs, WALL_US);
  }

  /** Publishers are asked for what comes behind that which is known. */
  #rejoin(): void {
    const known = [...this.heard.keys()];
    this.heard.clear();
    for (const session of known) {
      const resume = this.#backlog.sessions.recall(session);
      if (typeof resume !== 'object') continue;
      this.heard.set(session, resume.nextSequence - 1);
      this.#tell({ kind: 'opened', session, tsi: 'x', isForeign: false });
    }
  }
}

/** The channel, its archive and its archivers. */
export class StandbyRun {
  readonly archive = new ModelArchive();
  readonly limits: StandbyLimits;
  readonly archivers: ModelArchiver[] = [];
  readonly #sizes = new Map<string, number>();
  nowMs = 1_000;

  private constructor(limits: StandbyLimits) {
    this.limits = limits;
  }

  static async start(count: number, limits: StandbyLimits): Promise<StandbyRun> {
    const run = new StandbyRun(limits);
    for (let index = 0; index < count; index += 1) {
      const archiver = new ModelArchiver(run, `archiver-${index}`);
      await archiver.boot();
      run.archivers.push(archiver);
    }
    return run;
  }

  /** The same bytes for everybody. */
  payload(session: SessionId, sequence: number, size: number): Uint8Array {
    const key = `${session}/${sequence}`;
    const bytes = this.#sizes.get(key) ?? size;
    this.#sizes.set(key, bytes);
    return Buffer.alloc(bytes, `${session.slice(-4)}/${sequence};`);
  }

  wait(ms: number): void {
    this.nowMs += ms;
    for (const archiver of this.archivers) archiver.wait(0);
  }

  /** Nothing happens any more but what has to: one leads, all look, offer and heal. */
  async drain(leader: number): Promise<void> {
    for (const archiver of this.archivers) archiver.standDown();
    this.archivers[leader]?.take();
    for (let idle = 0; idle < 8; idle += 1) {
      this.wait(600);
      for (const archiver of this.archivers) {
        await archiver.settle();
        archiver.watch();
        await archiver.settle();
        archiver.offer();
      }
      const [first] = this.archivers.filter(({ isLeading }) => isLeading);
      if (first === undefined) this.archivers[leader]?.take();
      for (const archiver of this.archivers) {
        archiver.heal();
        while (archiver.commit(true)) idle = 0;
      }
    }
  }

  /** Each sequence up to the watermark is stored once, as it was sent, or lost. */
  check(): void {
    const { messages, losses, sessions } = this.archive.now;
    const next = new Map<SessionId, number>();
    const ranges = [
      ...messages.map(({ session, sequence }) => ({ session, first: sequence, last: sequence })),
      ...losses.map((it) => {
        return { session: it.session, first: it.firstSequence, last: it.lastSequence };
      }),
    ].toSorted((a, b) => a.first - b.first);
    for (const { session, first, last } of ranges) {
      assert.equal(first, next.get(session) ?? 1, `${session} is accounted for in one piece`);
      next.set(session, last + 1);
    }
    for (const [session, { watermark }] of sessions)
      assert.equal(next.get(session) ?? 1, watermark + 1, 'the watermark says so');
    for (const [index, { position, session, sequence, payload }] of messages.entries()) {
      const expected = this.payload(session, sequence, 0);
      assert.equal(position, index + 1);
      assert.deepEqual(Buffer.from(payload), expected);
    }
  }

  /** Nothing that an archiver has heard counts as lost, and all of it is accounted for. */
  checkHeard(): void {
    for (const { messages, heard } of this.archivers) {
      for (const { session, firstSequence, lastSequence } of this.archive.now.losses)
        for (let sequence = firstSequence; sequence <= lastSequence; sequence += 1)
          assert.ok(!messages.has(`${session}/${sequence}`), `${session}/${sequence} was heard`);
      for (const [session, last] of heard) {
        const { watermark = 0 } = this.archive.now.sessions.get(session) ?? {};
        assert.ok(watermark >= last, 'what was heard is accounted for');
      }
    }
  }
}
