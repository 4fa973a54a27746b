// One channel of a shard: its socket, its receiver, its backlog, its batcher. What the receiver
// tells goes through the backlog, which may be on disk, into the batcher; the shard's writer
// fetches batches from here. While the backlog has no room, which a spool prevents, datagrams are
// dropped and counted as the recorder's own overrun, and what the publishers then no longer resend
// is declared lost with that cause.

import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
import type { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type { BackcastError, ChannelAddress, MemberAddress, SessionId } from '#base/mod.ts';
import {
  type LatencySnapshot,
  Receiver,
  type ReceiverCounters,
  type ReceiverEvent,
  type ResumePoint,
} from '#multicast/core/mod.ts';
import {
  authenticatorOf,
  Driver,
  GatedSocket,
  type KeySource,
  monotonicMs,
  newTransportCounters,
  openReceiverTransport,
  type PortRange,
  processRandom,
  type ReceiverTransport,
  type TransportCounters,
  wallClockUs,
} from '#multicast/udp/mod.ts';
import type { Backlog } from './backlog.ts';
import { Batcher } from './batcher.ts';
import { openBacklog, type SpoolSettings } from './open-backlog.ts';
import { SessionLookup } from './session-lookup.ts';
import type { BatchSource } from './shard-writer.ts';

/** What every channel of an archiver has in common. */
export interface RecordingSettings {
  /** Address or name of the interface. */
  readonly interfaceAddress: string;
  /** Time-to-live of copies of NAKs to the group; 1 by default. */
  readonly ttl?: number | undefined;
  readonly receiveBufferBytes: number;
  readonly messageBytesMax: number;
  readonly repairTimeoutMs: number;
  readonly sourceExpiryMs: number;
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
  readonly batchAgeMs: number;
  /** Faults to inject, as the loss injector reads them; undefined for none. */
  readonly faults: string | undefined;
  /** First and last port on which channels of unicast delivery are heard; any if not given. */
  readonly unicastPorts?: PortRange | undefined;
  /** Start of the names of capture files: each channel has `capture`.CHANNEL.pcap. */
  readonly capture?: string | undefined;
  /** Where to put what waits for the database, and how much of it; nowhere if not given. */
  readonly spool?: SpoolSettings | undefined;
}

/** What a recorder needs to know. */
export interface ChannelRecorderOptions extends RecordingSettings {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly channelId: number;
  readonly epoch: number;
  readonly head: number;
  readonly sessions: readonly SessionProgress[];
  /** What the archive has of these sessions. */
  readonly findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  readonly builders: SegmentBuilderPool;
  readonly keys: KeySource | undefined;
  /** A channel of unicast delivery is heard at this place, of which its publishers must know. */
  readonly onListening: (at: MemberAddress) => void;
  /** A batch may be due. */
  readonly onWork: () => void;
  /** The state of a session changed: heard, lost something, ended. */
  readonly onSession: (event: Exclude<ReceiverEvent, { kind: 'messages' }>) => void;
  readonly onFenced: () => void;
  /** The spool cannot be used; undefined: it can be again. Told once per change. */
  readonly onSpool: (problem: BackcastError | undefined) => void;
}

/** What a recorder has counted. */
export interface RecorderCounters {
  readonly receiver: ReceiverCounters;
  readonly transport: TransportCounters;
  /** How long repairs took, over all sessions. */
  readonly repairLatency: LatencySnapshot;
  /** Datagrams dropped because too much waited for the database. */
  readonly overrunDatagrams: number;
  /** Memory held for what is not committed. */
  readonly pendingBytes: number;
  /** Position that the last message heard has or will have. */
  readonly receivedPosition: number;
  /** Messages up to this position are on the spool's disk or committed. */
  readonly spooledPosition: number;
  readonly archivedMessages: number;
  /** Transactions committed. */
  readonly commits: number;
  /** Last committed position of the channel. */
  readonly archivedPosition: number;
  /** Bytes that the spool takes from the disk. */
  readonly spoolBytes: number;
  /** Whether what is heard goes to the spool now. */
  readonly spooling: boolean;
  /** Whether a spool is wanted and cannot be used. */
  readonly spoolUnusable: boolean;
  /** Messages that the spool had no room for. */
  readonly spoolFullMessages: number;
  /** Sessions being followed now. */
  readonly followedSessions: number;
  /** Whether the database was away when something was last to be committed. */
  readonly databaseAway: boolean;
}

/** A hole found this long after an overrun is the overrun's. */
const OVERRUN_MEMORY_MS = 30_000;

/** Records one channel. */
export class ChannelRecorder implements BatchSource, AsyncDisposable {
  readonly #options: ChannelRecorderOptions;
  readonly #receiver: Receiver;
  readonly #batcher: Batcher;
  readonly #backlog: Backlog;
  readonly #lookup: SessionLookup;
  readonly #resources = new AsyncDisposableStack();
  #gate: GatedSocket | undefined;
  #countTransport: () => TransportCounters = newTransportCounters;
  #archivedMessages = 0;
  #commits = 0;

  private constructor(options: ChannelRecorderOptions, batcher: Batcher, backlog: Backlog) {
    this.#options = options;
    this.#batcher = batcher;
    this.#backlog = backlog;
    this.#lookup = new SessionLookup({
      find: options.findSessions,
      onFound: (progress) => backlog.learn(progress),
      nowMs: monotonicMs,
    });
    this.#receiver = new Receiver({
      ...options,
      join: 'window',
      random: processRandom(),
      authenticator: authenticatorOf(options.address, options.keys),
      recall: (session) => this.#recall(session),
      recallForeign: (tsi) => backlog.sessions.recallForeign(tsi),
    });
    for (const session of backlog.sessions.openSessions()) {
      const resume = backlog.sessions.recall(session);
      if (typeof resume === 'object') this.#receiver.restore(resume, monotonicMs());
    }
  }

  /**
   * Takes up what is spooled, opens the sockets and starts to record. Errors:
   * BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_KEYS_MISSING,
   * BACKCAST_DATABASE_UNREACHABLE.
   */
  static async open(options: ChannelRecorderOptions): Promise<ChannelRecorder> {
    const batcher = new Batcher({ ...options, framing: options.address.framing });
    const backlog = await openBacklog({
      ...options,
      batcher,
      nowMs: monotonicMs,
      onLoss: (loss) => options.onSession(loss),
      onSpool: (problem) => options.onSpool(problem),
    });
    await using opened = new AsyncDisposableStack();
    opened.defer(() => backlog.close());
    const recorder = new ChannelRecorder(options, batcher, backlog);
    await recorder.#listen();
    opened.move();
    return recorder;
  }

  async #listen(): Promise<void> {
    const options = this.#options;
    const resources = this.#resources;
    try {
      const capture = options.capture && `${options.capture}.${options.channel}.pcap`;
      const unicast = {
        ports: options.unicastPorts,
        join: async (at: MemberAddress): Promise<undefined> => {
          options.onListening(at);
        },
      };
      const transport = await openReceiverTransport(resources, { ...options, capture, unicast });
      this.#countTransport = transport.count;
      this.#drive(transport);
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Numbers for the status line and metrics. */
  get counters(): Omit<RecorderCounters, 'databaseAway'> {
    return {
      receiver: this.#receiver.counters,
      transport: this.#countTransport(),
      repairLatency: this.#receiver.repairLatency.snapshot(),
      overrunDatagrams: this.#gate?.overrunDatagrams ?? 0,
      pendingBytes: this.#backlog.heldBytes,
      receivedPosition: this.#backlog.receivedPosition,
      spooledPosition: this.#backlog.durablePosition,
      archivedMessages: this.#archivedMessages,
      commits: this.#commits,
      archivedPosition: this.#options.head + this.#archivedMessages,
      spoolBytes: this.#backlog.diskBytes,
      spooling: this.#backlog.isSpooling,
      spoolUnusable: this.#options.spool !== undefined && !this.#backlog.isSpoolUsable,
      spoolFullMessages: this.#backlog.spoolFullMessages,
      followedSessions: this.#receiver.sessionCount,
    };
  }

  get nextDeadlineMs(): number {
    return this.#batcher.nextDeadlineMs;
  }

  pollBatch(nowMs: number, force: boolean): ArchiveBatch | undefined {
    return this.#batcher.pollBatch(nowMs, force);
  }

  committed(batch: ArchiveBatch): void {
    for (const { messageCount } of batch.segments) this.#archivedMessages += messageCount;
    this.#commits += 1;
    this.#batcher.committed();
    this.#backlog.handleCommitted();
  }

  /** Lets time pass; to be called a few times a second. */
  handleTimeout(nowMs: number): void {
    this.#backlog.handleTimeout(nowMs);
  }

  fenced(): void {
    this.#options.onFenced();
  }

  /** Stops listening. What was heard, to the last datagram taken, stays to be committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#takeEvents();
  }

  /**
   * Stops listening, and spools what is not committed, as far as that is possible. Nothing may be
   * committed from here on.
   */
  async close(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.#backlog.close();
  }

  /** A session that may be forgotten is let wait until the archive has said what it knows. */
  #recall(session: SessionId): ResumePoint | 'finished' | undefined {
    const known = this.#backlog.sessions.recall(session);
    if (known !== undefined || !this.#backlog.sessions.hasForgotten) return known;
    return this.#lookup.isNew(session) ? undefined : 'finished';
  }

  #drive({ group, send }: ReceiverTransport): void {
    this.#gate = new GatedSocket(group, () => this.#backlog.hasRoom);
    const driver = new Driver({
      machine: this.#receiver,
      receiveFrom: [this.#gate, send],
      sendThrough: send,
      onEvents: () => this.#takeEvents(),
    });
    this.#resources.use(driver);
  }

  #takeEvents(): void {
    const nowMs = monotonicMs();
    let hasNews = false;
    for (let event = this.#receiver.pollEvent(); event !== undefined; ) {
      const told = this.#withOverrun(event, nowMs);
      this.#backlog.handleEvent(told, nowMs, wallClockUs());
      if (told.kind !== 'messages') this.#options.onSession(told);
      hasNews = true;
      event = this.#receiver.pollEvent();
    }
    if (hasNews) this.#options.onWork();
  }

  /**
   * A loss that our own overrun explains says so: while deaf, we hear no repair and no heartbeat.
   */
  #withOverrun(event: ReceiverEvent, nowMs: number): ReceiverEvent {
    const isOurs =
      event.kind === 'lost' &&
      (event.cause === 'repair_expired' || event.cause === 'source_gone') &&
      nowMs - (this.#gate?.overranAtMs ?? Number.NEGATIVE_INFINITY) < OVERRUN_MEMORY_MS;
    return isOurs ? { ...event, cause: 'recorder_overrun' } : event;
  }
}
