// One channel of a shard: its socket, its receiver, its batcher. What the receiver tells goes into
// the batcher; the shard's writer fetches batches from here. Holds at most PENDING_BYTES_MAX of
// messages that wait for the database; beyond that datagrams are dropped and counted as the
// recorder's own overrun, and what the publishers then no longer resend is declared lost with that
// cause.

import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
import type { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type { ChannelAddress, MemberAddress, SessionId } from '#base/mod.ts';
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
import { Batcher } from './batcher.ts';
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
}

/** What a recorder has counted. */
export interface RecorderCounters {
  readonly receiver: ReceiverCounters;
  readonly transport: TransportCounters;
  /** How long repairs took, over all sessions. */
  readonly repairLatency: LatencySnapshot;
  /** Datagrams dropped because too much waited for the database. */
  readonly overrunDatagrams: number;
  readonly pendingBytes: number;
  readonly archivedMessages: number;
  /** Transactions committed. */
  readonly commits: number;
  /** Last committed position of the channel. */
  readonly archivedPosition: number;
  /** Sessions being followed now. */
  readonly followedSessions: number;
  /** Whether the database was away when something was last to be committed. */
  readonly databaseAway: boolean;
}

/** Messages that may wait for the database, per channel, before datagrams are dropped. */
const PENDING_BYTES_MAX = 128 * 1_048_576;
/** A hole found this long after an overrun is the overrun's. */
const OVERRUN_MEMORY_MS = 30_000;

/** Records one channel. */
export class ChannelRecorder implements BatchSource, AsyncDisposable {
  readonly #options: ChannelRecorderOptions;
  readonly #receiver: Receiver;
  readonly #batcher: Batcher;
  readonly #lookup: SessionLookup;
  readonly #resources = new AsyncDisposableStack();
  #gate: GatedSocket | undefined;
  #countTransport: () => TransportCounters = newTransportCounters;
  #archivedMessages = 0;
  #commits = 0;

  private constructor(options: ChannelRecorderOptions) {
    this.#options = options;
    const batcher = new Batcher({ ...options, framing: options.address.framing });
    this.#batcher = batcher;
    this.#lookup = new SessionLookup({
      find: options.findSessions,
      onFound: (progress) => batcher.sessions.learn(progress),
      nowMs: monotonicMs,
    });
    this.#receiver = new Receiver({
      ...options,
      join: 'window',
      random: processRandom(),
      authenticator: authenticatorOf(options.address, options.keys),
      recall: (session) => this.#recall(session),
      recallForeign: (tsi) => batcher.sessions.recallForeign(tsi),
    });
    for (const { session, state } of options.sessions) {
      const resume = state === 'open' ? batcher.recall(session) : undefined;
      if (typeof resume === 'object') this.#receiver.restore(resume, monotonicMs());
    }
  }

  /**
   * Opens the sockets and starts to record. Errors: BACKCAST_INTERFACE_UNUSABLE,
   * BACKCAST_PORT_IN_USE, BACKCAST_KEYS_MISSING.
   */
  static async open(options: ChannelRecorderOptions): Promise<ChannelRecorder> {
    const recorder = new ChannelRecorder(options);
    const resources = recorder.#resources;
    try {
      const capture = options.capture && `${options.capture}.${options.channel}.pcap`;
      const unicast = {
        ports: options.unicastPorts,
        join: async (at: MemberAddress): Promise<undefined> => {
          options.onListening(at);
        },
      };
      const transport = await openReceiverTransport(resources, { ...options, capture, unicast });
      recorder.#countTransport = transport.count;
      recorder.#drive(transport);
      return recorder;
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
      pendingBytes: this.#batcher.pendingBytes,
      archivedMessages: this.#archivedMessages,
      commits: this.#commits,
      archivedPosition: this.#options.head + this.#archivedMessages,
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
  }

  fenced(): void {
    this.#options.onFenced();
  }

  /** Stops listening. What was heard, to the last datagram taken, stays to be committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#takeEvents();
  }

  /** A session that may be forgotten is let wait until the archive has said what it knows. */
  #recall(session: SessionId): ResumePoint | 'finished' | undefined {
    const known = this.#batcher.recall(session);
    if (known !== undefined || !this.#batcher.sessions.hasForgotten) return known;
    return this.#lookup.isNew(session) ? undefined : 'finished';
  }

  #drive({ group, send }: ReceiverTransport): void {
    this.#gate = new GatedSocket(group, () => this.#batcher.pendingBytes < PENDING_BYTES_MAX);
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
      this.#batcher.handleEvent(told, nowMs, wallClockUs());
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
