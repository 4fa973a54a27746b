// The archiver: finds the channels it is to record, spreads them over worker threads, keeps
// partitions ahead of time, passes on what the threads tell, and stops them in order. Touches
// neither packets nor rows itself.
//
//   starting   the schema and the partitions are made sure of
//   running    channels are discovered and recorded
//   stopping   threads commit what they heard and end
//   stopped    nothing is left

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  claimArchiverName,
  type Durability,
  ensureSchema,
  openDatabase,
  type OpenDatabase,
} from '#archive/mod.ts';
import { BackcastError, type ChannelAddress, matchesChannelPattern, toError } from '#base/mod.ts';
import { authenticatorOf, KeyRing, type KeySettings, monotonicMs } from '#multicast/udp/mod.ts';
import type { Registry } from '#registry/mod.ts';
import { isSamePlace } from './channel-ears.ts';
import type { CompactionCounters } from './compaction-metrics.ts';
import type { RecorderCounters } from './recorder-options.ts';
import { type JoinChannel, Memberships } from './memberships.ts';
import { RejectionLog } from './rejection-log.ts';
import { SpoolLog } from './spool-log.ts';
import { untilReachable } from './until-reachable.ts';
import { Upkeep } from './upkeep.ts';
import { repeat } from './repeat.ts';
import type { RetentionCounters, RetentionSettings } from './retention-keeper.ts';
import type { ShardCommand, ShardReport, ShardSettings, ShardStart } from './shard-messages.ts';

/** Where log lines go: a pino logger, or anything with these two. */
export interface ArchiverLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

/** What an archiver is made of. */
export interface ArchiverOptions extends ShardSettings {
  /** Names and patterns of the channels to record. */
  readonly channels: readonly string[];
  readonly registry: Pick<Registry, 'list'>;
  /** For channels of unicast delivery, whose publishers otherwise do not know of this archiver. */
  readonly join?: JoinChannel;
  readonly shardCount: number;
  /** How often the registry is asked for new channels. */
  readonly discoverEveryMs: number;
  /** How often the archive is compacted; 0, or not given: never. */
  readonly compactEveryMs?: number;
  /** Where the keys come from, for channels that require authentication. */
  readonly authentication?: KeySettings | undefined;
  /** What to delete in the background; nothing if not given. */
  readonly retention?: RetentionSettings | undefined;
  readonly log: ArchiverLog;
  /** A database that is away at the start is waited for until this fires; by default it is not. */
  readonly startSignal?: AbortSignal | undefined;
}

/**
 * After a stop, how long the threads may take before they are ended; below the 5 s that `up`
 * promises.
 */
const STOP_MS_MAX = 3_500;
/**
 * Memory of a thread for what is young: two thirds of what Node takes, which is given back late.
 * Much less costs time in full flow.
 */
const YOUNG_MEBIBYTES_MAX = 32;

interface Thread {
  readonly worker: Worker;
  readonly ended: Promise<void>;
  channelCount: number;
  counters: Record<string, RecorderCounters>;
}

/** A running archiver. */
export class Archiver implements AsyncDisposable {
  readonly #options: ArchiverOptions;
  readonly #threads: Thread[] = [];
  /** Where each channel was when the threads were last told. */
  readonly #known = new Map<string, ChannelAddress>();
  readonly #threadOf = new Map<string, Thread>();
  readonly #recording = new Map<string, PromiseWithResolvers<void>>();
  readonly #memberships: Memberships;
  readonly #failed = Promise.withResolvers<never>();
  readonly #stopping = new AbortController();
  readonly #rejections: RejectionLog;
  readonly #spools: SpoolLog;
  #keyRing: KeyRing | undefined;
  readonly #database: OpenDatabase;
  readonly #upkeep: Upkeep;
  #name: AsyncDisposable | undefined;
  #discovering: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(options: ArchiverOptions) {
    this.#options = options;
    this.#rejections = new RejectionLog(options.log);
    this.#spools = new SpoolLog(options.log, options.spool?.bytesMax ?? 0);
    this.#memberships = new Memberships(options.join, options.log);
    this.#database = openDatabase({
      url: options.databaseUrl,
      applicationName: `backcast archiver ${options.holder}`,
      statementTimeoutMs: 10_000,
      silenceMsMax: 12_000,
      poolConnectionsMax: 1,
    });
    const { signal } = this.#stopping;
    const isBehind = (): boolean =>
      Object.values(this.counters).some((channel) => channel.databaseAway || channel.spooling);
    this.#upkeep = new Upkeep({ ...options, opened: this.#database, isBehind, signal });
    this.#failed.promise.catch(() => undefined);
  }

  /**
   * Starts recording. Resolves when the channels that the registry knows now have been handed to
   * the threads. Errors: BACKCAST_DATABASE_UNREACHABLE, BACKCAST_SCHEMA_MISSING,
   * BACKCAST_LEASE_HELD, BACKCAST_KEYS_INVALID and those of the registry.
   */
  static async start(options: ArchiverOptions): Promise<Archiver> {
    const archiver = new Archiver(options);
    try {
      await archiver.#start();
      return archiver;
    } catch (error) {
      await archiver.stop();
      throw error;
    }
  }

  /** Rejects with the first thing that ends recording, be it `stop`; never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Whether the database keeps what it commits; up to a minute old. */
  get durability(): Durability {
    return this.#upkeep.durability;
  }

  /** What was compacted since the start; undefined where it is switched off. */
  get compaction(): Readonly<CompactionCounters> | undefined {
    return this.#upkeep.compaction;
  }

  /** Numbers of what was deleted in the background. */
  get retention(): Readonly<RetentionCounters> {
    return this.#upkeep.retention;
  }

  /** Numbers per channel, at most half a second old. */
  get counters(): Readonly<Record<string, RecorderCounters>> {
    return Object.assign({}, ...this.#threads.map(({ counters }) => counters));
  }

  /**
   * Resolves when `channel`, which the registry must know by now, is being recorded. Rejects when
   * the archiver fails or is stopped before that, with BACKCAST_CONFIG_INVALID if it is none of the
   * channels to record, and with BACKCAST_KEYS_MISSING if it needs keys and there are none.
   */
  async recording(channel: string): Promise<void> {
    if (!this.#isWanted(channel)) {
      const patterns = this.#options.channels.join(', ');
      const message =
        `The channel ${channel} is not recorded: archiver.channels (${patterns}) does not ` +
        'name it.';
      throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
    }
    await this.#discover();
    await Promise.race([this.#recordingOf(channel).promise, this.failed]);
  }

  /** Commits what was heard, gives the leases back and ends every thread. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    this.#fail(new Error('the archiver was stopped'));
    for (const thread of this.#threads) tell(thread, { kind: 'stop' });
    const left = this.#memberships[Symbol.asyncDispose]();
    const ended = Promise.all(this.#threads.map((thread) => thread.ended)).then(() => true);
    const isClean = await Promise.race([ended, delay(STOP_MS_MAX, false, { ref: false })]);
    if (!isClean) {
      this.#options.log.warn({}, 'threads did not stop in time and are ended');
      await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
    }
    this.#logTotals();
    await Promise.allSettled([this.#upkeep[Symbol.asyncDispose](), this.#discovering, left]);
    this.#keyRing?.[Symbol.dispose]();
    await Promise.all([this.#name?.[Symbol.asyncDispose](), this.#database.close()]);
  }

  async #start(): Promise<void> {
    const { shardCount, discoverEveryMs, log } = this.#options;
    this.#keyRing = this.#openKeyRing();
    await untilReachable(() => this.#prepare(), this.#options.startSignal, this.#options.log);
    for (let index = 0; index < shardCount; index += 1) this.#threads.push(this.#startThread());
    await this.#discover();
    const { signal } = this.#stopping;
    const discover = (): Promise<void> => this.#discover();
    this.#discovering = repeat(discoverEveryMs, 'discovering channels', discover, { signal, log });
    this.#upkeep.start();
  }

  async #prepare(): Promise<void> {
    const { databaseUrl, holder } = this.#options;
    await ensureSchema(this.#database.database);
    this.#name ??= await claimArchiverName(databaseUrl, holder);
    await this.#upkeep.prepare();
  }

  #openKeyRing(): KeyRing | undefined {
    const { authentication = {}, log } = this.#options;
    return KeyRing.open(authentication, {
      onChange: (ids) => {
        log.info({ ids }, 'authentication keys changed');
        for (const thread of this.#threads)
          tell(thread, { kind: 'keys', keys: this.#keyRing?.keys ?? [] });
      },
      onProblem: (reason) => log.warn({ reason }, 'authentication keys cannot be read again'),
    });
  }

  async #discover(): Promise<void> {
    const channels = await this.#options.registry.list();
    for (const [channel, address] of channels) {
      if (!this.#isWanted(channel)) continue;
      const known = this.#known.get(channel);
      if (known?.framing === address.framing && isSamePlace(known, address)) continue;
      this.#known.set(channel, address);
      this.#assignKeyed(channel, address);
    }
  }

  #isWanted(channel: string): boolean {
    return this.#options.channels.some((pattern) => matchesChannelPattern(pattern, channel));
  }

  #recordingOf(channel: string): PromiseWithResolvers<void> {
    const known = this.#recording.get(channel) ?? Promise.withResolvers<void>();
    this.#recording.set(channel, known);
    return known;
  }

  /** Only what can be listened to: a channel without its keys is told, and the others go on. */
  #assignKeyed(channel: string, address: ChannelAddress): void {
    try {
      authenticatorOf(address, this.#keyRing);
      this.#assign(channel, address);
    } catch (error) {
      const { message: reason } = toError(error);
      this.#options.log.warn({ channel, reason }, 'channel not recorded');
      const { promise, reject } = this.#recordingOf(channel);
      promise.catch(() => undefined);
      reject(error);
    }
  }

  #assign(channel: string, address: ChannelAddress): void {
    const thread = this.#threadOf.get(channel) ?? this.#leastBusy();
    if (!this.#threadOf.has(channel)) thread.channelCount += 1;
    this.#threadOf.set(channel, thread);
    tell(thread, { kind: 'record', channel, address });
  }

  #leastBusy(): Thread {
    return this.#threads.reduce((least, next) =>
      next.channelCount < least.channelCount ? next : least,
    );
  }

  #startThread(): Thread {
    const {
      channels: _,
      registry: __,
      join: ___,
      log: ____,
      authentication: _____,
      startSignal: ______,
      retention: _______,
      ...settings
    } = this.#options;
    const workerData: ShardStart = { ...settings, keys: this.#keyRing?.keys };
    const worker = new Worker(new URL('shard-worker.ts', import.meta.url), {
      workerData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEBIBYTES_MAX },
    });
    const ended = Promise.withResolvers<void>();
    const thread: Thread = { worker, ended: ended.promise, channelCount: 0, counters: {} };
    worker.on('message', (report: ShardReport) => this.#handle(thread, report));
    worker.on('error', (error) => this.#fail(toError(error)));
    worker.on('exit', () => {
      ended.resolve();
      if (!this.#stopping.signal.aborted) this.#fail(new Error('a recording thread ended'));
    });
    return thread;
  }

  #handle(thread: Thread, report: ShardReport): void {
    switch (report.kind) {
      case 'listening':
        this.#memberships.begin(report.channel, report.at);
        break;
      case 'recording':
        void this.#memberships
          .joined(report.channel)
          .then(() => this.#recordingOf(report.channel).resolve());
        break;
      case 'log':
        this.#options.log[report.level](report.fields, report.message);
        break;
      case 'counters':
        thread.counters = report.channels;
        this.#rejections.handleCounters(report.channels, monotonicMs());
        this.#spools.handleCounters(report.channels, monotonicMs());
        break;
      case 'failed':
        this.#fail(new BackcastError(report.code, report.message));
        break;
      default:
        report satisfies never;
    }
  }

  #fail(error: Error): void {
    this.#failed.reject(error);
  }

  /** What it took: the one place where repairs that went well are told. */
  #logTotals(): void {
    for (const [channel, { archivedMessages, receiver }] of Object.entries(this.counters)) {
      const { packetsReceived, packetsMissed, repairsReceived, naksSent, messagesLost } = receiver;
      const packets = { packetsReceived, packetsMissed, repairsReceived, naksSent };
      this.#options.log.info({ channel, archivedMessages, ...packets, messagesLost }, 'recorded');
    }
  }
}

function tell(thread: Thread, command: ShardCommand): void {
  thread.worker.postMessage(command);
}
