// A backlog between made-up publishers, which hold everything they ever sent, and a made-up
// archive, on a simulated disk: for tests that let anything happen in any order.

import assert from 'node:assert/strict';
import type { ArchiveBatch, DeclaredLoss, SessionProgress } from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type { BackcastError, Random, SessionId } from '#base/mod.ts';
import { Backlog } from '#ingest/backlog.ts';
import { Batcher } from '#ingest/batcher.ts';
import { Spool } from '#ingest/spool/mod.ts';
import type { MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import { type PlacedMessage, readSegment } from './archive.ts';
import { delivered, lost } from './receiver-events.ts';
import { SimulatedDisk } from './simulated-disk.ts';

/** How small everything is. */
export interface RunLimits {
  readonly fileBytes: number;
  readonly filesMax: number;
  readonly directBytesMax: number;
  readonly waitMsMax: number;
}

const LIMITS: RunLimits = { fileBytes: 4_096, filesMax: 8, directBytesMax: 1_500, waitMsMax: 100 };
const WALL_US = 1_795_342_400_000_000;

/** The payload of a message, which says which one it is. */
function payloadOf(session: SessionId, sequence: number, bytes: number): Uint8Array {
  return Buffer.alloc(bytes, `${session.slice(-4)}/${sequence};`);
}

/** One channel over several lives of an archiver. */
export class BacklogRun {
  readonly disk = new SimulatedDisk();
  readonly stored: PlacedMessage[] = [];
  readonly losses: DeclaredLoss[] = [];
  /** Losses that the backlog has told of. */
  readonly said: MessagesLost[] = [];
  /** What was told of the spool: what is wrong, and undefined when it no longer is. */
  readonly problems: (BackcastError | undefined)[] = [];
  readonly #limits: RunLimits;
  readonly #archived = new Map<SessionId, SessionProgress>();
  readonly #heard = new Map<SessionId, number>();
  readonly #sizes = new Map<string, number>();
  #nowMs = 1_000;
  #batch: ArchiveBatch | undefined;
  #lastStored: ArchiveBatch | undefined;
  #batcher!: Batcher;
  #backlog!: Backlog;

  private constructor(limits: RunLimits) {
    this.#limits = limits;
  }

  static async start(limits: Partial<RunLimits> = {}): Promise<BacklogRun> {
    const run = new BacklogRun({ ...LIMITS, ...limits });
    await run.#boot();
    return run;
  }

  get backlog(): Backlog {
    return this.#backlog;
  }

  /** Whether the spool is not filled by a test. */
  get hasWideSpool(): boolean {
    return this.#limits.filesMax > 100;
  }

  get head(): number {
    return this.stored.length;
  }

  /** The last sequence of `session` that the archiver, as it lives now, has taken. */
  heard(session: SessionId): number {
    return this.#heard.get(session) ?? 0;
  }

  /** Tells what a receiver would, of a session that is opened if need be. */
  tell(session: SessionId, event: 'lost' | 'source' | 'closed' | readonly number[]): void {
    if (!this.#backlog.hasRoom) return;
    const first = this.heard(session) + 1;
    if (!this.#heard.has(session)) {
      this.#heard.set(session, 0);
      this.#hear({ kind: 'opened', session, tsi: 'x', isForeign: false });
    }
    if (event === 'source') this.#hear({ kind: 'source', session, source: 'x' });
    else if (event === 'closed') {
      this.#hear({ kind: 'closed', session, cause: 'expired' });
      this.#hear({ kind: 'opened', session, tsi: 'x', isForeign: false });
    } else if (event === 'lost') {
      this.#heard.set(session, first + 1);
      this.#hear(lost(session, first, first + 1));
    } else {
      const payloads = event.map((bytes, index) => this.#payload(session, first + index, bytes));
      this.#heard.set(session, first + event.length - 1);
      this.#hear(delivered(session, first, payloads));
    }
  }

  /** Time passes. */
  wait(ms: number): void {
    this.#nowMs += ms;
    this.#backlog.handleTimeout(this.#nowMs);
  }

  /** The database takes a batch; `isAnswered` says whether the archiver learns of it. */
  commit(isAnswered = true): boolean {
    this.#batch ??= this.#batcher.pollBatch(this.#nowMs, true);
    if (this.#batch === undefined) return false;
    const batch = this.#batch;
    if (batch !== this.#lastStored) this.#store(batch);
    this.#lastStored = batch;
    if (!isAnswered) return true;
    this.#batch = undefined;
    this.#batcher.committed();
    this.#backlog.handleCommitted();
    return true;
  }

  /** Everything that is under way on the disk ends. */
  settle(): Promise<void> {
    return this.#backlog.settled();
  }

  /** The process is killed and the power goes; another process begins. */
  async crash(random: Random): Promise<void> {
    this.disk.crash(random);
    await this.#boot();
  }

  /** The process is killed; while none runs, `spoil` is done to the disk; another begins. */
  async damage(spoil: (disk: SimulatedDisk) => void): Promise<void> {
    this.disk.halt();
    spoil(this.disk);
    await this.#boot();
  }

  /** A graceful stop without the database, and another process. */
  async restart(): Promise<void> {
    await this.#backlog.close();
    await this.#boot();
  }

  /** The database is there until nothing is left to be committed. */
  async drain(): Promise<void> {
    for (let idle = 0; idle < 60; idle += 1) {
      this.wait(600);
      await this.settle();
      while (this.commit()) idle = 0;
    }
    assert.equal(this.#backlog.heldBytes, 0);
    assert.equal(this.#backlog.receivedPosition, this.head);
    assert.equal(this.#backlog.isSpooling, false);
  }

  /** Messages and losses of each session are [1, heard], each once, and are what was sent. */
  check(): void {
    const next = new Map<SessionId, number>();
    const ranges = [
      ...this.stored.map(({ session, sequence }) => ({ session, first: sequence, last: sequence })),
      ...this.losses.map((it) => {
        return { session: it.session, first: it.firstSequence, last: it.lastSequence };
      }),
    ].toSorted((a, b) => a.first - b.first);
    for (const { session, first, last } of ranges) {
      assert.equal(first, next.get(session) ?? 1, `${session} is accounted for in one piece`);
      next.set(session, last + 1);
    }
    for (const [session, last] of this.#heard) {
      if (last > 0) assert.equal((next.get(session) ?? 1) - 1, last, 'all is accounted for');
    }
    for (const [index, { position, session, sequence, payload }] of this.stored.entries()) {
      const bytes = this.#sizes.get(`${session}/${sequence}`) ?? 0;
      assert.equal(position, index + 1);
      assert.deepEqual(Buffer.from(payload), payloadOf(session, sequence, bytes));
    }
  }

  #payload(session: SessionId, sequence: number, bytes: number): Uint8Array {
    const known = this.#sizes.get(`${session}/${sequence}`) ?? bytes;
    this.#sizes.set(`${session}/${sequence}`, known);
    return payloadOf(session, sequence, known);
  }

  #hear(event: ReceiverEvent): void {
    this.#backlog.handleEvent(event, this.#nowMs, WALL_US);
  }

  #store({ expectedHead, segments, losses, sessions }: ArchiveBatch): void {
    assert.equal(expectedHead, this.head);
    this.stored.push(...segments.flatMap(readSegment));
    this.losses.push(...losses);
    for (const progress of sessions) this.#archived.set(progress.session, progress);
  }

  async #boot(): Promise<void> {
    this.#batch = undefined;
    this.#batcher = new Batcher({
      channelId: 1,
      epoch: 1,
      head: this.head,
      commits: 0,
      framing: 'native',
      sessions: [...this.#archived.values()],
      builders: new SegmentBuilderPool(),
      batchMessagesMax: 8,
      batchBytesMax: 700,
      batchAgeMs: 20,
    });
    const { fileBytes, filesMax } = this.#limits;
    Object.assign(this.disk.faults, { failWrite: false, failSync: false });
    const options = { storage: this.disk.mount(), fileBytes, filesMax };
    const spool = await Spool.open(options).catch(() => Spool.unopened(options));
    this.#backlog = await Backlog.open({
      ...this.#limits,
      framing: 'native',
      head: this.head,
      sessions: [...this.#archived.values()],
      spool,
      findSessions: async (sessions) =>
        sessions.flatMap((session) => this.#archived.get(session) ?? []),
      memoryBytesMax: 20_000,
      nowMs: () => this.#nowMs,
      onLoss: (loss) => this.said.push(loss),
      onSpool: (problem) => this.problems.push(problem),
      recentBytesMax: () => 2_000,
      onWork: () => undefined,
      onHealing: () => assert.fail('nobody else writes'),
    });
    this.#backlog.lead(this.#batcher, true);
    this.#rejoin();
  }

  /** Publishers are asked for what comes behind that which is known. */
  #rejoin(): void {
    const known = [...this.#heard.keys()];
    this.#heard.clear();
    for (const session of known) {
      const resume = this.#backlog.sessions.recall(session);
      if (typeof resume !== 'object') continue;
      this.#heard.set(session, resume.nextSequence - 1);
    }
    for (const session of this.#heard.keys())
      this.#hear({ kind: 'opened', session, tsi: 'x', isForeign: false });
  }
}
