// A share of the archiver's channels: for each a recorder, for all of them one writer and a few
// connections to PostgreSQL. Runs in a worker thread (shard-worker.ts), shares nothing with other
// shards. Hears every channel, from where the archive ends; who of several archivers writes it is
// decided next door (leadership).

import {
  acquireLease,
  Appender,
  type ArchiveDatabase,
  ensureChannel,
  findOwnerUrl,
  findSessions,
  loadSessions,
  openDatabase,
  OwnerAppender,
  readLastLosses,
} from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import { BackcastError, type ChannelAddress, toError } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { type AuthenticationKey, monotonicMs, processRandom } from '#multicast/udp/mod.ts';
import { ChannelRecorder } from './channel-recorder.ts';
import { LEASE_MS, Leadership, newPlace, type Place } from './leadership.ts';
import type { RecorderCounters } from './recorder-options.ts';
import type { ShardReport, ShardStart } from './shard-messages.ts';
import { type BatchSource, ShardWriter } from './shard-writer.ts';

/** Between two attempts to take up a channel while the database is away. */
const RETRY_MS = 1_000;
/** Between two attempts to take a channel that the server refuses: somebody has to mend that. */
const REFUSED_RETRY_MS = 10_000;
/** Connections on which a shard commits; each is opened when channels first wait for each other. */
const COMMITS_AT_ONCE_MAX = 4;
/** How often the channels look at what waits for the database. */
const TICK_MS = 250;
/** What all channels together may hold of what is committed, in case that the archive goes back. */
const RECENT_BYTES_MAX = 16 * 1_048_576;
/** Of the small statements; the server's own limit comes first. */
const STATEMENTS = { statementTimeoutMs: 10_000, silenceMsMax: 12_000 };
/** After a stop, how long what was heard may take to be committed. */
const DRAIN_MS_MAX = 3_000;

/** The channels of one worker thread. */
export class Shard {
  readonly #settings: ShardStart;
  readonly #keySource: { keys: readonly AuthenticationKey[] } | undefined;
  readonly #report: (report: ShardReport) => void;
  readonly #resources = new AsyncDisposableStack();
  readonly #database: ArchiveDatabase;
  readonly #writer: ShardWriter;
  readonly #recorders = new Map<string, ChannelRecorder>();
  readonly #leadership: Leadership;
  readonly #stopping = new AbortController();
  readonly #drainDeadline = new AbortController();
  /** What is being done to hear each channel, one thing after the other. */
  readonly #takeOf = new Map<string, Promise<void>>();
  readonly #builders = new SegmentBuilderPool();

  constructor(settings: ShardStart, report: (report: ShardReport) => void) {
    this.#settings = settings;
    this.#keySource = settings.keys && { keys: settings.keys };
    this.#report = report;
    const applicationName = `backcast archiver ${settings.holder}`;
    const url = settings.databaseUrl;
    const open = this.#resources.use(
      openDatabase({ url, applicationName, ...STATEMENTS, poolConnectionsMax: 2 }),
    );
    this.#database = open.database;
    const appenders = Array.from({ length: COMMITS_AT_ONCE_MAX }, () =>
      this.#resources.use(this.#newAppender(applicationName)),
    );
    this.#writer = new ShardWriter({
      append: (batch, lane) => appenders[lane].append(batch),
      laneCount: COMMITS_AT_ONCE_MAX,
      nowMs: monotonicMs,
      random: processRandom(),
      onRefusal: (source, state, error) => this.#logRefusal(source, state, error),
      onDatabase: (state, error) => {
        if (state === 'back') this.#log('info', 'database is back', {});
        else this.#log('warn', 'database is away', { reason: error?.message });
      },
    });
    this.#leadership = new Leadership({
      database: this.#database,
      holder: settings.holder,
      onRole: (place) => this.#setRole(place),
      log: (level, message, fields) => this.#log(level, message, fields),
    });
  }

  #newAppender(applicationName: string): Appender | OwnerAppender {
    const { databaseUrl: url, holder, writeTo } = this.#settings;
    const options = { url, applicationName, holder };
    if (writeTo !== 'owner') return new Appender(options);
    return new OwnerAppender({
      ...options,
      findUrl: (channelId) => findOwnerUrl(this.#database, url, channelId),
      nowMs: monotonicMs,
    });
  }

  /** Runs until `stop`. Rejects with what no retry mends. */
  async run(): Promise<void> {
    const leading = this.#leadership.run();
    const ticking = setInterval(() => {
      for (const recorder of this.#recorders.values()) recorder.handleTimeout(monotonicMs());
    }, TICK_MS);
    try {
      const isDrained = await this.#writer.run(this.#drainDeadline.signal);
      if (!isDrained) {
        const hint =
          'what was heard last is not committed; the next start reads it from the spool, or asks ' +
          'the publishers for it';
        this.#log('warn', 'stopped before the database had taken everything', { hint });
      }
    } finally {
      clearInterval(ticking);
      this.#stopping.abort();
      this.#leadership.stop();
      await Promise.allSettled([...this.#takeOf.values(), leading]);
      await Promise.all([...this.#recorders.values()].map((recorder) => recorder.close()));
      await this.#leadership.release();
      await this.#resources.disposeAsync();
    }
  }

  /**
   * Starts to hear a channel, and writes it when its lease is free. One that is heard already has
   * moved to `address`.
   */
  record(channel: string, address: ChannelAddress): void {
    const earlier = this.#takeOf.get(channel) ?? Promise.resolve();
    const take = earlier
      .then(() => this.#take(channel, address))
      .catch((error: unknown) => this.#fail(error));
    this.#takeOf.set(channel, take);
  }

  /** Packets are sealed and checked with these keys from now on. */
  useKeys(keys: readonly AuthenticationKey[]): void {
    if (this.#keySource !== undefined) this.#keySource.keys = keys;
  }

  /** Stops listening, commits what was heard, gives the leases back; `run` then returns. */
  stop(): void {
    this.#stopping.abort();
    this.#leadership.stop();
    const timer = setTimeout(() => this.#drainDeadline.abort(), DRAIN_MS_MAX);
    timer.unref();
    void Promise.allSettled(
      [...this.#recorders.values()].map((it) => it[Symbol.asyncDispose]()),
    ).then(() => this.#writer.drain());
  }

  /** Numbers per channel. */
  counters(): Record<string, RecorderCounters> {
    const databaseAway = this.#writer.isAway;
    const numbers = [...this.#recorders].map(([name, recorder]) => {
      const refused = this.#writer.isRefused(recorder);
      return [name, { ...recorder.counters, databaseAway, refused }] as const;
    });
    return Object.fromEntries(numbers);
  }

  async #take(channel: string, address: ChannelAddress): Promise<void> {
    const { signal } = this.#stopping;
    let waitingFor = '';
    let retryMs = RETRY_MS;
    while (!signal.aborted) {
      try {
        return await this.#open(channel, address);
      } catch (error) {
        if (!(error instanceof BackcastError)) throw error;
        if (error.code === 'BACKCAST_FRAMING_CHANGED') {
          this.#log('warn', 'channel not recorded', { channel, reason: error.message });
          return;
        }
        // One channel that the server refuses is no reason to let go of those that it takes.
        if (!error.isRetryable && this.#recorders.size === 0) throw error;
        if (waitingFor !== error.code) {
          this.#log('warn', 'channel cannot be taken yet', { channel, reason: error.message });
        }
        waitingFor = error.code;
        retryMs = error.isRetryable ? RETRY_MS : REFUSED_RETRY_MS;
      }
      await waitMs(retryMs, signal);
    }
  }

  async #open(channel: string, address: ChannelAddress): Promise<void> {
    const known = this.#recorders.get(channel);
    if (known !== undefined) return await this.#move(known, channel, address);
    const { holder } = this.#settings;
    const channelId = await ensureChannel(this.#database, channel, address);
    const lease = await acquireLease(this.#database, channelId, holder, LEASE_MS);
    const sessions = await loadSessions(this.#database, channelId);
    const won = lease.outcome === 'acquired' ? lease : undefined;
    const { head } = lease;
    const recorder = await ChannelRecorder.open(
      {
        ...this.#settings,
        channel,
        address,
        channelId,
        head,
        sessions,
        findSessions: (asked) => findSessions(this.#database, channelId, asked),
        findLosses: (session, count) => readLastLosses(this.#database, channelId, session, count),
        recentBytesMax: () => RECENT_BYTES_MAX / Math.max(1, this.#recorders.size),
        builders: this.#builders,
        keys: this.#keySource,
        onListening: (at) => this.#report({ kind: 'listening', channel, at }),
        onWork: () => this.#writer.wake(),
        onSession: (event) => this.#logSession(channel, event),
        onFenced: (epoch, { outcome }) =>
          this.#leadership.fenced(channel, epoch, outcome === 'rolled_back'),
        onSpool: (problem) => {
          if (problem === undefined) this.#log('info', 'the spool can be used again', { channel });
          else this.#log('warn', 'the spool cannot be used', { channel, reason: problem.message });
        },
      },
      won && { epoch: won.epoch, commits: won.commits },
    );
    this.#recorders.set(channel, recorder);
    const { group, port, dport, framing } = address;
    const leader = won === undefined && 'holder' in lease ? lease.holder : holder;
    const place = newPlace({
      channel,
      channelId,
      framing,
      recorder,
      epoch: won?.epoch,
      head,
      leader,
    });
    this.#leadership.add(place);
    this.#setRole(place);
    const at = { channel, group, port, dport, head };
    if (lease.outcome === 'acquired') this.#log('info', 'recording', { ...at, epoch: lease.epoch });
    else this.#log('info', 'standing by', { ...at, holder: lease.holder });
    this.#report({ kind: 'recording', channel });
  }

  /** What cannot be heard where it is now is still heard where it was. */
  async #move(recorder: ChannelRecorder, channel: string, address: ChannelAddress): Promise<void> {
    const { group, port, dport, framing } = address;
    const at = { channel, group, port, dport };
    if (framing !== recorder.framing) {
      const reason = `its framing is ${recorder.framing} here, and cannot become ${framing}`;
      return this.#log('warn', 'channel is not heard where it is now', { ...at, reason });
    }
    await ensureChannel(this.#database, channel, address);
    try {
      await recorder.move(address);
      this.#log('info', 'channel has moved', at);
    } catch (error) {
      const reason = toError(error).message;
      this.#log('warn', 'channel is not heard where it is now', { ...at, reason });
    }
  }

  /** Only who leads has batches. */
  #setRole({ recorder, epoch }: Place): void {
    if (epoch === undefined) this.#writer.remove(recorder);
    else this.#writer.add(recorder);
  }

  #logSession(channel: string, event: Exclude<ReceiverEvent, { kind: 'messages' }>): void {
    const { kind, ...rest } = event;
    if (kind === 'source' || kind === 'lead') return;
    const level = kind === 'lost' || kind === 'conflict' ? 'warn' : 'info';
    const what = {
      opened: 'session heard',
      lost: 'messages lost',
      conflict: 'messages came twice with different content',
      closed: 'session over',
    }[kind];
    this.#log(level, what, { channel, ...rest });
  }

  #logRefusal(
    source: BatchSource,
    state: 'refused' | 'taken',
    error: BackcastError | undefined,
  ): void {
    const channel = [...this.#recorders].find(([, recorder]) => recorder === source)?.[0];
    if (state === 'taken') this.#log('info', 'the database takes the channel again', { channel });
    else this.#log('warn', 'the database refuses the channel', { channel, reason: error?.message });
  }

  #fail(error: unknown): void {
    if (error instanceof BackcastError) {
      this.#report({ kind: 'failed', code: error.code, message: error.message });
    } else throw error;
  }

  #log(level: 'info' | 'warn', message: string, fields: Record<string, unknown>): void {
    this.#report({ kind: 'log', level, message, fields });
  }
}

/** Waits, or returns early when `signal` fires. */
async function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
